//! Whether records fit together.

mod analyzer;
mod envelope;
mod finding;
mod findings;
mod losses;
mod retries;
mod run;
mod spans;
mod stages;

pub use analyzer::{Analyzer, Arrival, analyze};
pub use finding::{Finding, FindingKind, Severity};
pub use findings::Findings;
