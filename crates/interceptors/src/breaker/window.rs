//! How many calls of the last while went well, and how many did not.

use std::time::Duration;

use tokio::time::Instant;

/// Into so many slices a window is cut: what falls out of it falls out a slice at a time.
const SLICES: usize = 10;

/// Results by slice of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    since: Instant,
    slice: Duration,
    /// The number of the slice that was written last, from `since` on.
    latest: u128,
    /// Where slices are kept by their number, each at the remainder.
    slices: [Slice; SLICES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    calls: u64,
    failures: u64,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

impl Window {
    /// Nothing yet.
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        Self {
            since: now,
            slice: (length / SLICES as u32).max(Duration::from_nanos(1)),
            latest: 0,
            slices: [Slice::default(); SLICES],
        }
    }

    /// Counts a result.
    pub(super) fn count(&mut self, now: Instant, failures: u64) {
        self.move_on(now);
        let slice = &mut self.slices[(self.latest % SLICES as u128) as usize];
        slice.calls += 1;
        slice.failures += failures;
    }

    /// What counts at present.
    pub(super) fn sums(&mut self, now: Instant) -> Sums {
        self.move_on(now);
        Sums {
            calls: self.slices.iter().map(|slice| slice.calls).sum(),
            failures: self.slices.iter().map(|slice| slice.failures).sum(),
        }
    }

    /// Forgets the slices that have fallen out.
    fn move_on(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_nanos();
        let current = passed / self.slice.as_nanos();
        let gone = current.saturating_sub(self.latest).min(SLICES as u128);
        for step in 1..=gone {
            self.slices[((self.latest + step) % SLICES as u128) as usize] = Slice::default();
        }
        if gone == SLICES as u128 {
            self.slices = [Slice::default(); SLICES];
        }
        self.latest = self.latest.max(current);
    }
}
