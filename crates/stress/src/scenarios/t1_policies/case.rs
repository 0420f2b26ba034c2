//! Who sends how much to whom, and what the sink does when it is too much.

use std::time::Duration;

use rand::RngExt as _;
use stageflow::events::Stopping;

use crate::Seed;
use crate::harness::load::Schedule;

/// On the clock of these cases a millisecond of the catalogue is a second: tokio's timers are no finer than that.
pub(super) const SLOWER: u32 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    DropNewest,
    DropOldest,
    Spill,
    /// Five milliseconds.
    Wait,
}

impl Policy {
    pub(super) const ALL: [Self; 4] = [Self::DropNewest, Self::DropOldest, Self::Spill, Self::Wait];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DropNewest => "newest",
            Self::DropOldest => "oldest",
            Self::Spill => "spill",
            Self::Wait => "wait",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) policy: Policy,
    pub(super) capacity: usize,
    pub(super) producers: usize,
    pub(super) offers: Schedule,
    /// Events of one offer: at most so many.
    pub(super) burst: usize,
    /// Delivered at once: at most so many.
    pub(super) batch: usize,
    /// How long the downstream takes for one event.
    pub(super) service: Duration,
    /// When the downstream does nothing.
    pub(super) stall: Option<[Duration; 2]>,
    /// Of a hundred deliveries, how many fail.
    pub(super) failing: u32,
    /// Of a hundred events, how many must not be lost.
    pub(super) audit: u32,
    pub(super) stopping: Stopping,
    /// Stop as soon as the last event was offered, or when all is delivered.
    pub(super) stops_at_once: bool,
}

impl Case {
    /// The six cases of the catalogue.
    pub(super) fn catalogue(policy: Policy) -> [Self; 6] {
        let case = |name, seconds: u64, service_us: u64| Self {
            name,
            policy,
            capacity: 100,
            producers: 4,
            offers: Schedule::steady(1000 / SLOWER, Duration::from_secs(seconds) * SLOWER),
            burst: 1,
            batch: 1,
            service: Duration::from_micros(service_us) * SLOWER,
            stall: None,
            failing: 0,
            audit: 5,
            stopping: Stopping::Drain,
            stops_at_once: false,
        };
        let stall = [2, 4].map(|second| Duration::from_secs(second) * SLOWER);
        [
            case("a", 2, 250),
            case("b", 4, 2_000),
            case("c", 4, 10_000),
            Self {
                stall: Some(stall),
                ..case("d", 6, 250)
            },
            Self {
                failing: 50,
                ..case("e", 2, 250)
            },
            Self {
                offers: Schedule::burst(1000),
                ..case("f", 2, 250)
            },
        ]
    }

    /// A case that nobody thought of.
    pub(super) fn random(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let policy = Policy::ALL[rng.random_range(0..Policy::ALL.len())];
        let length = Duration::from_secs(rng.random_range(20..300));
        let load = f64::exp(rng.random_range(-1.5..2.5));
        let burst = if policy == Policy::Wait {
            1
        } else {
            rng.random_range(1..=10)
        };
        let stall = rng.random_bool(0.4).then(|| [length / 3, length / 2]);
        // What is on disk stays there when it is not to be delivered: another story.
        let discards = policy != Policy::Spill && rng.random_bool(0.3);
        Self {
            name: "random",
            policy,
            capacity: rng.random_range(1..=60),
            producers: rng.random_range(1..=16),
            offers: Schedule::random(1, length, seed.child(1)),
            burst,
            batch: if policy == Policy::Spill {
                1
            } else {
                rng.random_range(1..=8)
            },
            service: Duration::from_millis((load * 2000.0 / (burst as f64 + 1.0)) as u64 + 1),
            stall,
            failing: [0, 0, 10, 50][rng.random_range(0..4)],
            audit: [0, 5, 50, 100][rng.random_range(0..4)],
            stopping: if discards {
                Stopping::Discard
            } else {
                Stopping::Drain
            },
            stops_at_once: discards || rng.random_bool(0.5),
        }
    }
}
