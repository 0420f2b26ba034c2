//! What follows from which facts, and whether the folder is what it claims to be.

mod folder;
pub(crate) mod sample;
