//! The program, from its options to its exit code.

mod sessions;
mod tables;
