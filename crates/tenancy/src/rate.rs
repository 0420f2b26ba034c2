//! So much in a second.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::quota::PerSecond;

type Limiter = RateLimiter<NotKeyed, InMemoryState, AsOf, NoOpMiddleware<Duration>>;

/// The generic cell rate algorithm (ITU-T I.371), as the crate `governor` has it, on tokio's clock.
pub(crate) struct Rate {
    rule: PerSecond,
    apart: Duration,
    /// When it was asked first: a rate may be made before there is a clock.
    made: OnceLock<Instant>,
    now: Mutex<Now>,
}

struct Now {
    limiter: Limiter,
    clock: AsOf,
    /// When nothing is left of what was used.
    rested: Duration,
}

impl Rate {
    pub(crate) fn new(rule: PerSecond) -> Self {
        let quota = Quota::per_second(rule.rate).allow_burst(rule.burst);
        let clock = AsOf::default();
        Self {
            rule,
            apart: quota.replenish_interval(),
            made: OnceLock::new(),
            now: Mutex::new(Now {
                limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
                clock,
                rested: Duration::ZERO,
            }),
        }
    }

    /// Takes so much of it, or nothing.
    ///
    /// # Errors
    ///
    /// After which time there is so much; `None` if there never is.
    pub(crate) fn take(&self, cells: NonZeroU32) -> Result<(), Option<Duration>> {
        let at = self.elapsed();
        let mut now = self.lock();
        now.clock.set(at);
        match now.limiter.check_n(cells) {
            Ok(Ok(())) => {
                let took = self.apart.saturating_mul(cells.get());
                now.rested = now.rested.max(at).saturating_add(took);
                Ok(())
            }
            Ok(Err(early)) => Err(Some(early.earliest_possible().saturating_sub(at))),
            Err(_) => Err(None),
        }
    }

    /// How much there is in a second.
    pub(crate) fn per_second(&self) -> u64 {
        u64::from(self.rule.rate.get())
    }

    /// Whether all of it can be had again.
    pub(crate) fn is_rested(&self) -> bool {
        let at = self.elapsed();
        self.lock().rested <= at
    }

    fn elapsed(&self) -> Duration {
        self.made.get_or_init(Instant::now).elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rate").field(&self.rule).finish()
    }
}

/// A clock that stands where it was set to: so that all that happens under one lock is at one time, and that time is tokio's.
#[derive(Clone, Debug, Default)]
struct AsOf(Arc<AtomicU64>);

impl AsOf {
    fn set(&self, at: Duration) {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        // Written and read under the lock of the rate.
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl Clock for AsOf {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
