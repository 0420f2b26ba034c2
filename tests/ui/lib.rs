//! Compile-fail tests over all crates: see `main.rs`. A package of its own, because every mistake is compiled with all that its
//! package depends on.
