//! Wide events: one flat line for each run and each stage, with everything an analyst asks for.

mod events;
mod run;
mod stage;
mod times;

pub use events::{JsonLines, WideCounts, WideEvents, WideLine, WideSink};
pub use run::WideRun;
pub use stage::WideStage;

/// The version of [`WideRun`] and [`WideStage`] that this crate writes.
pub const WIDE_VERSION: u32 = 1;
