//! Time limits of attempts.

use std::time::Duration;

/// How long an attempt may take. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From start to end.
    pub attempt: Option<Duration>,
    /// From one sign of life to the next: the start, a heartbeat, an event.
    pub idle: Option<Duration>,
}

impl Limits {
    /// No limits.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            attempt: None,
            idle: None,
        }
    }

    /// These limits, with `other`'s where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            attempt: self.attempt.or(other.attempt),
            idle: self.idle.or(other.idle),
        }
    }
}
