//! Ledgers: books that must balance before a trial is over.

pub(crate) mod effects;
pub(crate) mod events;
pub(crate) mod resources;
