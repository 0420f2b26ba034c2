//! A deterministic harness for testing pipelines.

pub mod dag;
mod gate;
mod grammar;
pub mod oracle;
mod probe;
mod property;
mod recording;
pub mod script;
mod scripted;
mod time;
pub mod wiring;

pub use gate::Gate;
pub use grammar::{EventGrammar, GrammarError, Rule, Violation};
pub use probe::{LiveGuard, Probe};
pub use property::Property;
pub use proptest;
pub use recording::{Recorded, RecordingSink};
pub use scripted::Scripted;
pub use time::{Flavour, TestRuntime, on_each_runtime, paused};
