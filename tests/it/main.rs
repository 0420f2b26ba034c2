//! Behaviour tests over all crates.

mod happy;
