//! What follows from which facts, and whether the folder is what it claims to be.

mod folder;
mod rules;
pub(crate) mod sample;
