//! So many calls in so much time.

mod lane;
mod layer;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;

use crate::keyed::Keyed;
use crate::{Key, KeyBy, Phase};
use lane::Lane;

const MOST_KEYS: NonZeroUsize = const { NonZeroUsize::new(10_000).unwrap() };
const QUEUE: NonZeroUsize = const { NonZeroUsize::new(1024).unwrap() };

/// The longest that unused calls add up for: the arithmetic is in nanoseconds of 64 bits.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Lets so many calls begin in a second, or in a minute. The others are rejected at once, or wait their turn if
/// [`wait_up_to`](RateLimit::wait_up_to) says so.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use stageflow_interceptors::{KeyBy, RateLimit, Stack};
///
/// const FIFTY: NonZeroU32 = NonZeroU32::new(50).unwrap();
///
/// let limit = RateLimit::per_second(FIFTY)
///     .burst(NonZeroU32::MIN)
///     .key(KeyBy::dependency("model").across_orgs())
///     .wait_up_to(Duration::from_secs(10));
/// let stack = Stack::new().with(limit.clone()); // a clone is the same limit
/// assert_eq!(stack.describe(), "call\n└ rate [admission, around]\n  └ stage\n");
/// assert_eq!(limit.waiting(), []);
/// ```
///
/// # The rule
///
/// The generic cell rate algorithm (GCRA, ITU-T I.371, "virtual scheduling"), as the crate `governor` has it. With `T` the time
/// from one call to the next at the rate (a 50th of a second, say) and `B` the [`burst`](RateLimit::burst): in any stretch of
/// time of length `t`, at most `B + t / T` calls begin, rounded down. What was not used adds up to `B` calls and no more.
/// `T` is in whole nanoseconds.
///
/// Those that wait begin in the order in which they came, each at the first moment that the rule allows. Timers count in whole
/// milliseconds, rounded up; a call that its timer let begin late by less than one does not delay those after it, so in the line above `t`
/// may be longer by a millisecond.
///
/// # Waiting
///
/// A call is rejected at once if the queue is full, if it would have to wait longer than it may, or if its turn would not come
/// before the deadline of its run. The rejection names the time until its turn would have come
/// ([`StageError::retry_after`](stageflow_context::StageError::retry_after)). A call whose run ends while it waits leaves the queue and has used up nothing: those
/// behind it move up.
///
/// # Events
///
/// `layer.rate.waited` and `layer.rate.rejected`, with the `key` and `ms`: how long it has waited, and how long it would have
/// had to. `rejected` says `why`, too: `rate`, `queue`, `wait` or `deadline`.
#[derive(Clone)]
pub struct RateLimit {
    rule: Rule,
    by: KeyBy,
    lanes: Arc<Keyed<Lane>>,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    quota: Quota,
    /// How long a call may wait; none waits if there is nothing here.
    wait: Option<Duration>,
    queue: NonZeroUsize,
    most_keys: NonZeroUsize,
    phase: Phase,
}

impl RateLimit {
    /// So many calls a second. If nothing is said, as many may come at once.
    #[must_use]
    pub fn per_second(calls: NonZeroU32) -> Self {
        Self::of(Rule::new(Quota::per_second(calls)), KeyBy::default())
    }

    /// So many calls a minute. If nothing is said, as many may come at once.
    #[must_use]
    pub fn per_minute(calls: NonZeroU32) -> Self {
        Self::of(Rule::new(Quota::per_minute(calls)), KeyBy::default())
    }

    /// So many calls may begin at once after a rest. With 1, the calls keep the distance that the rate says. More than the rate
    /// gives in ten years counts as that.
    ///
    /// Like all options it makes a limit of its own: set them before you clone it.
    #[must_use]
    pub fn burst(self, calls: NonZeroU32) -> Self {
        let apart = self.rule.quota.replenish_interval().as_nanos().max(1);
        let most = u32::try_from(LONGEST.as_nanos() / apart).unwrap_or(u32::MAX);
        let calls = NonZeroU32::new(most).map_or(calls, |most| calls.min(most));
        let quota = self.rule.quota.allow_burst(calls);
        self.with(|rule| rule.quota = quota)
    }

    /// Lets calls wait for so long, rather than to reject them at once.
    #[must_use]
    pub fn wait_up_to(self, wait: Duration) -> Self {
        self.with(|rule| rule.wait = Some(wait))
    }

    /// So many may wait under one key; 1024 if nothing is said. It means something only with
    /// [`wait_up_to`](RateLimit::wait_up_to).
    #[must_use]
    pub fn queue(self, most: NonZeroUsize) -> Self {
        self.with(|rule| rule.queue = most)
    }

    /// Which calls are counted together; each stage and org by itself if nothing is said.
    #[must_use]
    pub fn key(self, by: KeyBy) -> Self {
        Self::of(self.rule, by)
    }

    /// Counts each attempt, and not each call with all its attempts: the layer goes inside those that try again
    /// ([`Phase::Timeout`] in place of [`Phase::Admission`]), and an attempt that it rejects can be tried again. What it lets wait
    /// is no part of the attempt's own time.
    #[must_use]
    pub fn each_attempt(self) -> Self {
        self.with(|rule| rule.phase = Phase::Timeout)
    }

    /// Knows at most so many keys; 10 000 if nothing is said. When it is full it forgets those that have their whole burst again; if
    /// it still has no room, the new keys share one rate.
    #[must_use]
    pub fn most_keys(self, most: NonZeroUsize) -> Self {
        self.with(|rule| rule.most_keys = most)
    }

    /// How many calls wait at this moment, for each key where some do; in no particular order.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Key, usize)> {
        let lanes = self.lanes.all().into_iter();
        lanes
            .map(|(key, lane)| (key, lane.waiting()))
            .filter(|(_, waiting)| *waiting > 0)
            .collect()
    }

    fn with(mut self, change: impl FnOnce(&mut Rule)) -> Self {
        change(&mut self.rule);
        Self::of(self.rule, self.by)
    }

    fn of(rule: Rule, by: KeyBy) -> Self {
        let lanes = Keyed::new(rule.most_keys, move || Lane::new(rule.quota));
        Self {
            rule,
            by,
            lanes: Arc::new(lanes),
        }
    }
}

impl Rule {
    const fn new(quota: Quota) -> Self {
        Self {
            quota,
            wait: None,
            queue: QUEUE,
            most_keys: MOST_KEYS,
            phase: Phase::Admission,
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("rule", &self.rule)
            .field("key", &self.by)
            .finish_non_exhaustive()
    }
}
