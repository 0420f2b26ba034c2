//! Open-loop load: things happen when they are due, whoever is late.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep_until};

use crate::Seed;

/// When something is due, from the start of the load on: in order, and known before anything is sent. What comes late is
/// late from then on, so a slow system cannot slow down what measures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule(Vec<Duration>);

impl Schedule {
    /// So many a second, evenly, for so long.
    pub(crate) fn steady(per_second: u32, length: Duration) -> Self {
        let gap = 1e9 / f64::from(per_second.max(1));
        let count = (length.as_secs_f64() * f64::from(per_second)).round() as u64;
        let due = |i: u64| Duration::from_nanos((i as f64 * gap) as u64);
        Self((0..count).map(due).collect())
    }

    /// As many, at random: gaps of a Poisson process, from this seed.
    pub(crate) fn random(per_second: u32, length: Duration, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let mut at = 0.0;
        let mut due = Vec::new();
        loop {
            let u: f64 = rng.random();
            at -= (1.0 - u).ln() / f64::from(per_second.max(1));
            if at >= length.as_secs_f64() {
                return Self(due);
            }
            due.push(Duration::from_secs_f64(at));
        }
    }

    /// So many at once.
    pub(crate) fn burst(count: usize) -> Self {
        Self(vec![Duration::ZERO; count])
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Duration> {
        self.0.iter().copied()
    }

    /// Calls `send` with each instant when it is due, or at once if it is overdue. Nothing is left out.
    pub(crate) async fn play(&self, mut send: impl FnMut(Due)) {
        let start = Instant::now();
        for offset in self.iter() {
            let at = start + offset;
            if Instant::now() < at {
                sleep_until(at).await;
            }
            send(Due { at });
        }
    }
}

/// One thing that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// When it was meant to happen.
    pub(crate) at: Instant,
}

impl Due {
    /// From when it was meant to happen until now.
    pub(crate) fn latency(&self) -> Duration {
        Instant::now().saturating_duration_since(self.at)
    }
}

#[cfg(test)]
mod tests {
    use stageflow_testkit::paused;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_steady_load_is_even() {
        let load = Schedule::steady(1000, 2 * SECOND);
        assert_eq!(load.0.len(), 2000);
        assert!(load.iter().eq((0..2000).map(Duration::from_millis)));
    }

    #[test]
    fn a_random_load_is_in_order_about_right_and_repeatable() {
        let load = Schedule::random(1000, 10 * SECOND, Seed::new(3));
        assert_eq!(load, Schedule::random(1000, 10 * SECOND, Seed::new(3)));
        assert_ne!(load, Schedule::random(1000, 10 * SECOND, Seed::new(4)));
        assert!(load.0.is_sorted() && load.0.last() < Some(&(10 * SECOND)));
        assert!((9_500..10_500).contains(&load.0.len()), "{}", load.0.len());
    }

    #[test]
    fn latency_counts_from_when_it_was_due() {
        paused(async {
            let load = Schedule::steady(10, SECOND);
            let mut seen = Vec::new();
            let hold = std::cell::Cell::new(false);
            let held = async {
                sleep_until(Instant::now() + Duration::from_millis(250)).await;
                hold.set(true);
                // Nobody else has a turn: everything due in that second is late.
                advance(SECOND).await;
            };
            let played = load.play(|due| seen.push(due.latency()));
            futures_util::future::join(held, played).await;
            assert!(hold.get());
            assert_eq!(seen.len(), 10);
            assert_eq!(seen[2], Duration::ZERO);
            assert!(seen[4] >= Duration::from_millis(800), "{seen:?}");
        });
    }

    #[test]
    fn a_burst_comes_at_once() {
        paused(async {
            let mut count = 0;
            Schedule::burst(1000)
                .play(|due| {
                    count += 1;
                    assert_eq!(due.latency(), Duration::ZERO);
                })
                .await;
            assert_eq!(count, 1000);
        });
    }
}
