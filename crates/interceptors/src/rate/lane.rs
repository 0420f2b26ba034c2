//! What is known under one key: the rate, and who waits.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::keyed::Kept;

/// A timer may fire so much later than it was set for.
const TICK: Duration = Duration::from_millis(1);

type Limiter = RateLimiter<NotKeyed, InMemoryState, AsOf, NoOpMiddleware<Duration>>;

/// The rate under one key. Times are since it was made, on tokio's clock.
pub(super) struct Lane {
    made: Instant,
    apart: Duration,
    now: Mutex<Now>,
    /// Whose turn it is among those that wait: in the order in which they came.
    turn: Semaphore,
}

struct Now {
    limiter: Limiter,
    clock: AsOf,
    waiting: usize,
    /// When the first of those that wait has its turn.
    next: Duration,
    /// When nothing is left of what was used.
    rested: Duration,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Admission<'l> {
    /// It may begin.
    Go,
    /// It may wait for its turn.
    Wait(Waiting<'l>),
    /// Its turn would come after this, and it may not wait for it.
    Reject(Why, Duration),
}

/// Why a call may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Deadline,
    Queue,
    Rate,
    Wait,
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) wait: Option<Duration>,
    pub(super) queue: NonZeroUsize,
    pub(super) deadline: Option<Instant>,
}

impl Lane {
    pub(super) fn new(quota: Quota) -> Self {
        let clock = AsOf::default();
        Self {
            made: Instant::now(),
            apart: quota.replenish_interval(),
            now: Mutex::new(Now {
                limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
                clock,
                waiting: 0,
                next: Duration::ZERO,
                rested: Duration::ZERO,
            }),
            turn: Semaphore::new(1),
        }
    }

    /// A call comes.
    pub(super) fn enter(&self, patience: Patience) -> Admission<'_> {
        let since = self.made.elapsed();
        let mut now = self.lock();
        let turn = if now.waiting == 0 {
            match now.begin(since, self.apart) {
                Ok(()) => return Admission::Go,
                Err(turn) => turn,
            }
        } else {
            let before = u32::try_from(now.waiting).unwrap_or(u32::MAX);
            let before = self.apart.saturating_mul(before);
            now.next.saturating_add(before).max(since)
        };
        let wait = turn.saturating_sub(since);
        let last = self.made.checked_add(turn);
        let why = match patience.wait {
            None => Why::Rate,
            Some(most) if most < wait => Why::Wait,
            Some(_) if now.waiting >= patience.queue.get() => Why::Queue,
            Some(_) if patience.deadline.is_some() && last >= patience.deadline => Why::Deadline,
            Some(most) => {
                if now.waiting == 0 {
                    now.next = turn;
                }
                now.waiting += 1;
                drop(now);
                return Admission::Wait(Waiting {
                    lane: self,
                    since,
                    until: since.saturating_add(most).saturating_add(TICK),
                    begun: false,
                });
            }
        };
        Admission::Reject(why, wait)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// A call wants to begin at this time.
    ///
    /// # Errors
    ///
    /// When it may.
    fn begin(&mut self, at: Duration, apart: Duration) -> Result<(), Duration> {
        self.clock.set(at);
        match self.limiter.check() {
            Ok(()) => {
                self.rested = self.rested.max(at).saturating_add(apart);
                Ok(())
            }
            Err(early) => Err(early.earliest_possible()),
        }
    }
}

/// A call that waits. It is no longer counted when it is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'l> {
    lane: &'l Lane,
    since: Duration,
    until: Duration,
    /// It has begun, and is no longer counted.
    begun: bool,
}

impl Waiting<'_> {
    /// Waits for the turn, and gives how long it took.
    ///
    /// # Errors
    ///
    /// How much longer it would take, if that is more than it may wait after all: the clock or the runtime stood still.
    pub(super) async fn turn(mut self) -> Result<Duration, Duration> {
        // Never closed. Whoever is dropped while it has the turn gives it to the next, and has used up nothing.
        let _turn = self.lane.turn.acquire().await;
        loop {
            let at = self.lane.made.elapsed();
            let Err(turn) = self.begin(at) else {
                return Ok(at.saturating_sub(self.since));
            };
            let when = self.lane.made.checked_add(turn);
            let Some(when) = when.filter(|_| turn <= self.until) else {
                return Err(turn.saturating_sub(at));
            };
            sleep_until(when).await;
        }
    }

    fn begin(&mut self, at: Duration) -> Result<(), Duration> {
        let mut now = self.lane.lock();
        // A timer fires up to a tick late: that must not add up from turn to turn.
        let asked = now.next.clamp(at.saturating_sub(TICK), at);
        let begun = now.begin(asked, self.lane.apart);
        match begun {
            Ok(()) => {
                now.next = asked.saturating_add(self.lane.apart);
                now.waiting = now.waiting.saturating_sub(1);
                self.begun = true;
            }
            Err(turn) => now.next = turn,
        }
        begun
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.begun {
            let mut now = self.lane.lock();
            now.waiting = now.waiting.saturating_sub(1);
        }
    }
}

impl Kept for Lane {
    fn is_idle(&self) -> bool {
        let now = self.lock();
        now.waiting == 0 && now.rested <= self.made.elapsed()
    }
}

/// A clock that stands where it was set to: so that all that happens under one lock is at one time, and that time is tokio's.
#[derive(Clone, Debug, Default)]
struct AsOf(Arc<AtomicU64>);

impl AsOf {
    fn set(&self, at: Duration) {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        // Written and read under the lane's lock.
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl Clock for AsOf {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
