//! How a stage or a run ended.

use std::fmt;

/// How an attempt, a stage or a run ended. Every one of them ends in exactly one of these ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was told to stop, or was never started because the run was.
    Cancelled,
    /// A layer refused it.
    Denied,
    /// It failed: an error, or a panic.
    Failed,
    /// There was nothing for it to do.
    Skipped,
    /// It gave its value.
    Succeeded,
    /// It took too long.
    TimedOut,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Denied,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// In lower case, as events and tables spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Succeeded => "succeeded",
            Self::TimedOut => "timed_out",
        }
    }

    /// The outcome that is spelled like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
