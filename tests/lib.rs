//! Behaviour tests over all crates: see `it`.
