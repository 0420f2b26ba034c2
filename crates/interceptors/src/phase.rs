//! The order of the onion.

use std::fmt;

/// Where a layer sits, from the outside in. There is no number to set: a layer cannot be put outside its phase, so nothing
/// is ever outside [`Phase::Security`]. Layers of one phase keep the order in which they were registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Who may call at all.
    Security,
    /// Whether there is room: quotas, rates, fairness.
    Admission,
    /// Whether it was done already.
    Idempotency,
    /// Whether the answer is known.
    Cache,
    /// Whether the dependency is well.
    Breaker,
    /// Whether to try again.
    Retry,
    /// How long an attempt may take.
    Timeout,
    /// What is recorded about an attempt.
    Telemetry,
    /// Everything else: closest to the stage.
    Inner,
}

impl Phase {
    /// In lower case, as [`Stack::describe`](crate::Stack::describe) prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Breaker => "breaker",
            Self::Cache => "cache",
            Self::Idempotency => "idempotency",
            Self::Inner => "inner",
            Self::Retry => "retry",
            Self::Security => "security",
            Self::Telemetry => "telemetry",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
