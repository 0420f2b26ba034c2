//! Programs a user can run: see the folders beside this package.
