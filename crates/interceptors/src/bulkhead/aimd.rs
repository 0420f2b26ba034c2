//! A limit that finds itself.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::Percent;

/// How a [`Bulkhead`](crate::Bulkhead) finds out how many calls are good for what is called: additive increase, multiplicative
/// decrease.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use stageflow_interceptors::{Aimd, Bulkhead, Percent};
///
/// const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// const TEN: NonZeroUsize = NonZeroUsize::new(10).unwrap();
/// const HUNDRED: NonZeroUsize = NonZeroUsize::new(100).unwrap();
///
/// let bulkhead = Bulkhead::new(TEN).adaptive(
///     Aimd::between(TWO, HUNDRED)
///         .decrease(Percent::of::<80>())
///         .latency(Duration::from_secs(2)),
/// );
/// ```
///
/// # The rule
///
/// The limit `L` begins at what the bulkhead was made with. It is a number with a fraction; the whole part counts.
///
/// * A call that goes well makes it `min(max, L + increase / L)`, if at least half of the limit was in use when it ended: a limit
///   that nobody reaches says nothing. So it grows by `increase` for each `L` calls.
/// * A call that goes badly makes it `max(min, L · decrease / 100)`, unless the call had begun before the limit shrank last: what
///   one overload does to many calls counts once, as in TCP (RFC 5681, RFC 6582).
/// * Badly is: a failure of class transient, a time limit, a rejection by a layer inside; and a value that took longer than
///   [`latency`](Aimd::latency). Well is every other value. All else is neither: permanent failures, denials, skips, calls that
///   are stopped.
///
/// Source: Chiu & Jain, *Analysis of the increase and decrease algorithms for congestion avoidance in computer networks* (1989);
/// for calls in place of packets: Netflix's `concurrency-limits`, `AIMDLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aimd {
    min: NonZeroUsize,
    max: NonZeroUsize,
    increase: NonZeroU32,
    decrease: Percent,
    latency: Option<Duration>,
}

impl Aimd {
    /// Never less than `min`, never more than `max`. If `max` is the smaller one, it is `min` always.
    #[must_use]
    pub const fn between(min: NonZeroUsize, max: NonZeroUsize) -> Self {
        Self {
            min,
            max,
            increase: NonZeroU32::MIN,
            decrease: Percent::of::<90>(),
            latency: None,
        }
    }

    /// Grows by so many calls for each limit-full of calls that go well; 1 if nothing is said.
    #[must_use]
    pub const fn increase(mut self, calls: NonZeroU32) -> Self {
        self.increase = calls;
        self
    }

    /// Shrinks to so many percent when a call goes badly; 90 % if nothing is said.
    #[must_use]
    pub const fn decrease(mut self, to: Percent) -> Self {
        self.decrease = to;
        self
    }

    /// A call that takes longer goes badly, whatever it gives. If nothing is said, no value is too late.
    #[must_use]
    pub const fn latency(mut self, target: Duration) -> Self {
        self.latency = Some(target);
        self
    }

    /// Whether a value that took so long counts as well done.
    pub(super) fn is_in_time(&self, took: Duration) -> bool {
        self.latency.is_none_or(|target| took <= target)
    }

    pub(super) fn first(&self, limit: NonZeroUsize) -> f64 {
        self.bounded(limit.get() as f64)
    }

    pub(super) fn grown(&self, limit: f64) -> f64 {
        self.bounded(limit + f64::from(self.increase.get()) / limit)
    }

    pub(super) fn shrunk(&self, limit: f64) -> f64 {
        self.bounded(limit * f64::from(self.decrease.get()) / 100.0)
    }

    fn bounded(&self, limit: f64) -> f64 {
        limit.min(self.max.get() as f64).max(self.min.get() as f64)
    }
}
