//! How often an undo is tried.

use std::num::NonZeroU32;
use std::time::Duration;

/// How often the engine tries to undo what a stage did, how long an attempt may take, and how long it waits in between.
///
/// Whatever an attempt fails with, an error, a panic or its limit, is tried again: the class of an error is not looked at,
/// because what is not undone stays.
///
/// ```
/// use stageflow_graph::UndoPolicy;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// let policy = UndoPolicy::new()
///     .attempts(const { NonZeroU32::new(4).unwrap() })
///     .exponential(Duration::from_millis(100), Duration::from_millis(250));
/// let delays: Vec<_> = (1..4).map(|failed| policy.delay_after(failed).as_millis()).collect();
/// assert_eq!(delays, [100, 200, 250]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct UndoPolicy {
    attempts: NonZeroU32,
    attempt_limit: Duration,
    delay: Delay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Delay {
    Constant(Duration),
    Exponential { first: Duration, most: Duration },
}

impl UndoPolicy {
    /// Three attempts of at most 5 s each, 200 ms after the first, 400 ms after the second.
    pub const fn new() -> Self {
        Self {
            attempts: const { NonZeroU32::new(3).unwrap() },
            attempt_limit: Duration::from_secs(5),
            delay: Delay::Exponential {
                first: Duration::from_millis(200),
                most: Duration::from_secs(5),
            },
        }
    }

    /// Tries so often at most, the first time included.
    pub const fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Lets an attempt take so long at most; then it is dropped. Zero is refused when the pipeline is built.
    pub const fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.attempt_limit = limit;
        self
    }

    /// Waits as long after every attempt.
    pub const fn constant(mut self, delay: Duration) -> Self {
        self.delay = Delay::Constant(delay);
        self
    }

    /// Waits `first` after the first attempt and twice as long after each other one, but never longer than `most`:
    /// `min(first · 2^(n - 1), most)` after the `n`th.
    pub const fn exponential(mut self, first: Duration, most: Duration) -> Self {
        self.delay = Delay::Exponential { first, most };
        self
    }

    /// How often it is tried at most.
    #[must_use]
    pub const fn most_attempts(&self) -> NonZeroU32 {
        self.attempts
    }

    /// How long an attempt may take.
    #[must_use]
    pub const fn attempt_limit(&self) -> Duration {
        self.attempt_limit
    }

    /// How long to wait after so many attempts have failed, from 1.
    #[must_use]
    pub fn delay_after(&self, failed: u32) -> Duration {
        match self.delay {
            Delay::Constant(delay) => delay,
            Delay::Exponential { first, most } => {
                let doubled = 1_u32.checked_shl(failed.saturating_sub(1));
                let grown = doubled.and_then(|times| first.checked_mul(times));
                grown.unwrap_or(most).min(most)
            }
        }
    }
}

impl Default for UndoPolicy {
    fn default() -> Self {
        Self::new()
    }
}
