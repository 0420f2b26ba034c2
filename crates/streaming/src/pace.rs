//! How often the same thing is said.

use std::time::Duration;

use tokio::time::Instant;

/// A run keeps so many events of its stages and no more: one a second of each kind leaves room for others.
const EVERY: Duration = Duration::from_secs(1);

/// Says the first at once, and what comes after it at most once a second.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: Option<Instant>,
    /// What was not said yet: how often, and how much.
    pending: u64,
    amount: Duration,
}

impl Pace {
    /// It happened once more.
    pub(crate) fn add(&mut self, amount: Duration) {
        self.pending += 1;
        self.amount += amount;
    }

    /// What is to be said now: how often it happened since it was last said, and how much.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let quiet = |last: Instant| now.saturating_duration_since(last) < EVERY;
        if self.pending == 0 || self.last.is_some_and(quiet) {
            return None;
        }
        self.last = Some(now);
        Some(self.take())
    }

    /// What is left to say, if anything is.
    pub(crate) fn rest(&mut self) -> Option<(u64, Duration)> {
        (self.pending > 0).then(|| self.take())
    }

    fn take(&mut self) -> (u64, Duration) {
        (
            std::mem::take(&mut self.pending),
            std::mem::take(&mut self.amount),
        )
    }
}
