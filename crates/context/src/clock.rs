//! Ports for what a run must not take from its surroundings: wall time and fresh ids.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use uuid::{NoContext, Timestamp, Uuid};

/// Where wall time comes from. It may step, forwards and back: durations and timers never use it.
pub trait WallClock: Send + Sync + Debug {
    /// The time of day.
    fn now(&self) -> SystemTime;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The clock of the machine.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl WallClock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the port that everything else reads wall time through"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still, for tests.
///
/// ```
/// use std::time::SystemTime;
/// use stageflow_context::{FixedClock, WallClock};
///
/// let clock = FixedClock::new(SystemTime::UNIX_EPOCH);
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FixedClock {
    now: SystemTime,
}

impl FixedClock {
    /// A clock that always says `now`.
    #[must_use]
    pub const fn new(now: SystemTime) -> Self {
        Self { now }
    }
}

impl WallClock for FixedClock {
    fn now(&self) -> SystemTime {
        self.now
    }
}

/// Where fresh ids come from.
pub trait IdSource: Send + Sync + Debug {
    /// A UUID that this source has not given before.
    fn next_uuid(&self) -> Uuid;
}

/// Ids made of the machine's time and random numbers.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemIds;

impl SystemIds {
    /// Ids made of the machine's time and random numbers.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl IdSource for SystemIds {
    fn next_uuid(&self) -> Uuid {
        // Without the process-wide counter that `Uuid::now_v7` keeps: 74 random bits tell ids of one millisecond apart, and
        // runs on different cores share nothing here.
        let now = SystemClock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(
            NoContext,
            now.as_secs(),
            now.subsec_nanos(),
        ))
    }
}

/// The same ids in the same order for the same seed, for tests and replays. Each is greater than the one before.
///
/// ```
/// use stageflow_context::{IdSource, SeededIds};
///
/// let (one, two) = (SeededIds::new(7), SeededIds::new(7));
/// assert_eq!(one.next_uuid(), two.next_uuid());
/// ```
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    given: AtomicU64,
}

impl SeededIds {
    /// The ids that belong to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            given: AtomicU64::new(0),
        }
    }
}

impl IdSource for SeededIds {
    fn next_uuid(&self) -> Uuid {
        // The first 2^60 ids are in order: the number fills the time and the twelve bits after it.
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let millis = SEEDED_EPOCH.wrapping_add(number >> 12) & 0xffff_ffff_ffff;
        let random = splitmix64(self.seed.wrapping_add(number.wrapping_mul(GOLDEN)));
        let high = (millis << 16) | 0x7000 | (number & 0xfff);
        let low = (1 << 63) | (random >> 2);
        Uuid::from_u64_pair(high, low)
    }
}

/// The first of January 2020 in milliseconds: seeded ids must sort before the real ones they may be mixed with.
const SEEDED_EPOCH: u64 = 1_577_836_800_000;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn splitmix64(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
