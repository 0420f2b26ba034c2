//! A wall clock that steps, and whoever reads it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use stageflow::context::WallClock;
use tokio::time::Instant;

use crate::Seed;

const HOUR: i64 = 3_600_000_000;
/// One second past what thirty-two bits can count.
const YEAR_2038: i64 = (1 << 31) * 1_000_000;
/// November 2023.
const ORIGIN: i64 = 1_700_000_000_000_000;

/// A wall clock that goes on with tokio's, and steps when it is told to. Clones are the same clock.
#[derive(Clone)]
pub(super) struct Skewed(Arc<Inner>);

struct Inner {
    started: Instant,
    /// What it says beyond the time since it was started, in microseconds since 1970.
    offset: AtomicI64,
    /// How often the engine asked.
    asked: AtomicU64,
}

impl Skewed {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            offset: AtomicI64::new(ORIGIN),
            asked: AtomicU64::new(0),
        }))
    }

    /// What it says, without being counted.
    pub(super) fn micros(&self) -> i64 {
        self.0.offset.load(Ordering::Relaxed) + self.0.started.elapsed().as_micros() as i64
    }

    pub(super) fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Steps, or stands still, as administrators, time servers and old batteries make clocks do.
    pub(super) fn step(&self, seed: Seed) {
        let offset = &self.0.offset;
        match seed.rng().random_range(0..16) {
            0..=3 => offset.fetch_add(1_000_000, Ordering::Relaxed),
            4..=7 => offset.fetch_sub(1_000_000, Ordering::Relaxed),
            8 => offset.fetch_add(HOUR, Ordering::Relaxed),
            9 => offset.fetch_sub(HOUR, Ordering::Relaxed),
            10 => offset.swap(0, Ordering::Relaxed),
            11 => offset.swap(YEAR_2038, Ordering::Relaxed),
            12 => offset.swap(ORIGIN, Ordering::Relaxed),
            // It stands still: what has passed since the last step is taken back.
            13 => offset.fetch_sub(
                self.0.started.elapsed().as_micros() as i64 % 10_000_000,
                Ordering::Relaxed,
            ),
            _ => 0,
        };
        // Before 1970 there is nothing that a wire form could tell.
        if self.micros() < 0 {
            offset.store(0, Ordering::Relaxed);
        }
    }
}

impl WallClock for Skewed {
    fn now(&self) -> SystemTime {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(self.micros()).unwrap_or(0))
    }
}

impl fmt::Debug for Skewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skewed")
            .field("micros", &self.micros())
            .finish()
    }
}
