//! A run's stream: everything that happens in it, for one reader, in one order, while it happens.
//!
//! ```text
//!   stages ──chunks──▶ inbox ─┐
//!   driver ──events───────────┴─▶ Tap ──▶ Ring ──▶ RunStream
//!   a run inside ──▶ its own Tap ──▶ the outer run's inbox
//! ```
//!
//! Chunks go through the run's inbox, so that they stand between the start and the end of the attempt they come from.

mod item;
mod options;
mod ring;
mod tap;
#[cfg(test)]
mod tests;

pub use item::{StreamItem, StreamKind};
pub use options::{StreamCounts, StreamOptions};
pub use ring::RunStream;

pub(crate) use ring::Ring;
pub(crate) use tap::{Offer, Tap};
