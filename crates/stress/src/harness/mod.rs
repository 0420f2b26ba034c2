//! What every scenario stands on.

pub(crate) mod again;
pub(crate) mod book;
pub(crate) mod dump;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod runner;
pub(crate) mod runtime;
pub(crate) mod seed;
pub(crate) mod severity;
pub mod stats;
pub(crate) mod stop;
pub(crate) mod witness;
pub(crate) mod worker;
