//! A sink with a bound, in front of something that may be slow, failing or gone.
//!
//! ```text
//!   try_emit ─▶ ┌─ state, behind one lock ──────────────┐
//!   emit ─────▶ │ lanes: audit ▒▒▒▒  telemetry ░░░░░░░  │ ─take─▶ pump ─▶ Exporter
//!               │ sums, ledger of losses, who waits     │ ◀settle─  tries, rests, gives up
//!               └───────────────────────────────────────┘
//! ```

mod after;
mod builder;
mod consignment;
mod core;
mod counts;
mod deliver;
mod fates;
mod flow;
mod flush;
mod lanes;
mod ledger;
mod log;
#[cfg(all(test, stageflow_loom))]
mod loom;
mod marks;
mod options;
mod over;
mod pump;
mod shelf;
mod single;
mod sink;
mod state;
mod sync;
mod waiting;
mod weight;

pub use builder::BoundedSinkBuilder;
pub use consignment::Consignment;
pub use counts::{BoundedCounts, BreakerState, Health, Loss, LossCount, LossReason};
pub use options::{BreakerPolicy, Flushed, Overflow, RetryPolicy, Stopping};
pub use pump::Pump;
pub use single::NotTaken;
pub use sink::BoundedSink;
