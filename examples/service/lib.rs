//! A program a user can run: see `main.rs`. A package of its own, so that the other programs need no database to be built.
