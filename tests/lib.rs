//! Behaviour and compile-fail tests over all crates: see `it` and `ui`.
