//! Another attempt for what may go away.

mod backoff;
mod bucket;
mod budget;
mod layer;
mod per_run;
mod retry_after;
mod seed;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{ErrorClass, StageError};

pub use backoff::Jitter;
use backoff::{Backoff, Growth};
pub use budget::RetryBudget;
use per_run::PerRun;
pub use retry_after::parse_retry_after;

/// Tries again after transient failures.
///
/// The delay before attempt `n + 1` is, with `n` attempts made so far:
///
/// | | without jitter |
/// |---|---|
/// | [`exponential`](Retry::exponential) | `min(cap, first · 2^(n-1))` |
/// | [`linear`](Retry::linear) | `min(cap, first · n)` |
/// | [`constant`](Retry::constant) | `min(cap, first)` |
///
/// What [`Jitter`] makes of it comes from the seed of the run and the place of the attempt: the same seed, the same delays. It
/// is never below what the error asks for ([`StageError::retry_after`]), unless that is more than the cap:
///
/// | an error asks for | with jitter | without |
/// |---|---|---|
/// | no more than the cap | `min(cap, asked + delay)`: a server asks many for the same | `max(asked, delay)` |
/// | more than the cap | `cap/2 + U[0, cap/2]` | `cap` |
///
/// Timers count in whole milliseconds, rounded up.
///
/// Inner layers are entered for every attempt, so a [`Timeout`](crate::Timeout) limits each; [`within`](Retry::within) limits
/// all together. Each item of a map and each round of a loop is tried again by itself. When the run is told to stop, the wait ends
/// at once.
///
/// Safe to drop at any moment.
///
/// ```
/// use stageflow_interceptors::{Jitter, Retry, Stack};
/// use std::time::Duration;
///
/// let retry = Retry::exponential(5)
///     .first(Duration::from_millis(200))
///     .cap(Duration::from_secs(10))
///     .jitter(Jitter::Equal)
///     .within(Duration::from_secs(60));
/// let stack = Stack::new().with(retry);
/// ```
#[derive(Clone)]
pub struct Retry {
    attempts: NonZeroU32,
    backoff: Backoff,
    when: Option<Arc<When>>,
    within: Option<Duration>,
    per_run: NonZeroU32,
    budget: Option<RetryBudget>,
    runs: Arc<PerRun>,
}

type When = dyn Fn(&StageError) -> bool + Send + Sync;

impl Retry {
    /// At most so many attempts, the first included (0 counts as 1); each delay is twice the one before.
    #[must_use]
    pub fn exponential(attempts: u32) -> Self {
        Self::growing(Growth::Exponential, attempts)
    }

    /// At most so many attempts, the first included (0 counts as 1); each delay is longer by the first.
    #[must_use]
    pub fn linear(attempts: u32) -> Self {
        Self::growing(Growth::Linear, attempts)
    }

    /// At most so many attempts, the first included (0 counts as 1); all delays are alike.
    #[must_use]
    pub fn constant(attempts: u32) -> Self {
        Self::growing(Growth::Constant, attempts)
    }

    fn growing(growth: Growth, attempts: u32) -> Self {
        Self {
            attempts: NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN),
            backoff: Backoff {
                growth,
                first: Duration::from_millis(500),
                cap: Duration::from_secs(30),
                jitter: Jitter::default(),
            },
            when: None,
            within: None,
            per_run: const { NonZeroU32::new(64).unwrap() },
            budget: None,
            runs: Arc::default(),
        }
    }

    /// The first delay, before jitter. Half a second if nothing is said.
    #[must_use]
    pub fn first(mut self, delay: Duration) -> Self {
        self.backoff.first = delay;
        self
    }

    /// No delay is longer, whatever it comes from. Half a minute if nothing is said.
    #[must_use]
    pub fn cap(mut self, delay: Duration) -> Self {
        self.backoff.cap = delay;
        self
    }

    /// How much is left to chance. [`Jitter::Full`] if nothing is said.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.backoff.jitter = jitter;
        self
    }

    /// Which failures are worth another attempt. If nothing is said: those of class transient, unless a layer like this one
    /// has given up on the same failure already, in a part of the stage. Only failures are asked about: a denial, a skip and
    /// a cancel are final.
    #[must_use]
    pub fn when(mut self, worth_it: impl Fn(&StageError) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(worth_it));
        self
    }

    /// All attempts of a call, and what is between them, take at most so long: an attempt that is under way then is dropped, and
    /// the call fails as timed out; a delay that would last until then is not begun.
    #[must_use]
    pub fn within(mut self, total: Duration) -> Self {
        self.within = Some(total);
        self
    }

    /// At most so many retries in one run, of all stages that this layer is around. 64 if nothing is said.
    #[must_use]
    pub fn per_run(mut self, retries: NonZeroU32) -> Self {
        self.per_run = retries;
        self
    }

    /// Retries need a token of this budget, too.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    fn is_worth_it(&self, error: &StageError) -> bool {
        match &self.when {
            Some(when) => when(error),
            None => error.class() == ErrorClass::Transient && error.earlier().is_empty(),
        }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("within", &self.within)
            .field("per_run", &self.per_run)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
