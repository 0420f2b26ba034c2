//! Whose turn it is.

mod gate;
mod line;

pub(crate) use gate::{Entry, Gate, Permit, Place, Turn};
pub(crate) use line::{Rule, Seen};
