//! Random maps, and what has to come of each.

use std::collections::BTreeSet;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

/// What one item does: it takes so many milliseconds, and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) takes: u32,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Cancel,
    Fail,
    Panic,
    Skip,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Collect,
    FailFast,
    SkipFailed,
}

/// A map: its items, and how it goes over them.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) items: Vec<Item>,
    pub(super) width: usize,
    pub(super) policy: Policy,
    /// The longest an item may take.
    pub(super) limit: Option<u32>,
    pub(super) spawned: bool,
}

/// What has to come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) text: String,
    /// Started, succeeded, failed, timed out, skipped, cancelled.
    pub(super) counts: [u64; 6],
    pub(super) took: u64,
}

/// How an item ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Done,
    Failed,
    Skipped,
    TimedOut,
}

impl Case {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let trouble = [0.0, 0.05, 0.3][rng.random_range(0..3)];
        let cancels = rng.random_bool(0.2);
        let item = |rng: &mut ChaCha8Rng| {
            let end = match rng.random_range(0..4) {
                _ if !rng.random_bool(trouble) => End::Value,
                0 if cancels => End::Cancel,
                0 | 1 => End::Fail,
                2 => End::Panic,
                _ => End::Skip,
            };
            let takes = rng.random_range(1..100_000_u32);
            Item { takes, end }
        };
        let policies = [Policy::Collect, Policy::FailFast, Policy::SkipFailed];
        Self {
            items: (0..rng.random_range(0..60)).map(|_| item(rng)).collect(),
            width: rng.random_range(1..12),
            policy: policies[rng.random_range(0..3)],
            limit: rng
                .random_bool(0.3)
                .then(|| rng.random_range(50_000..120_000)),
            spawned: rng.random_bool(0.3),
        }
    }

    /// The rules, played through. `None` if two things happen at the same moment, where either may be first.
    pub(super) fn predict(&self) -> Option<Wanted> {
        let mut under_way = BTreeSet::new();
        let mut ended = vec![None; self.items.len()];
        let (mut next, mut now) = (0, 0);
        loop {
            while next < self.items.len() && under_way.len() < self.width {
                let takes = self.items[next].takes;
                let takes = self.limit.map_or(takes, |limit| takes.min(limit));
                let until = now + u64::from(takes);
                if under_way.iter().any(|(other, _)| *other == until) {
                    return None;
                }
                under_way.insert((until, next));
                next += 1;
            }
            let Some((at, index)) = under_way.pop_first() else {
                return Some(self.wanted(self.results(&ended), &ended, next, now));
            };
            now = at;
            let how = self.how(index);
            ended[index] = how;
            let text = match how {
                None => "cancelled".to_owned(),
                Some(How::Failed | How::TimedOut) if self.policy == Policy::FailFast => {
                    format!("failed: a[{index}]")
                }
                Some(_) => continue,
            };
            return Some(self.wanted(text, &ended, next, now));
        }
    }

    /// `None` if the item cancels the run.
    fn how(&self, index: usize) -> Option<How> {
        let item = self.items[index];
        if self.limit.is_some_and(|limit| item.takes > limit) {
            return Some(How::TimedOut);
        }
        match item.end {
            End::Cancel => None,
            End::Fail | End::Panic => Some(How::Failed),
            End::Skip => Some(How::Skipped),
            End::Value => Some(How::Done),
        }
    }

    fn results(&self, ended: &[Option<How>]) -> String {
        let told = |(index, how): (usize, &Option<How>)| match (how, self.policy) {
            (Some(How::Done), _) => Some(format!("{index}")),
            (Some(How::Skipped), Policy::Collect) => Some("skipped".to_owned()),
            (Some(_), Policy::Collect) => Some("failed".to_owned()),
            _ => None,
        };
        let told: Vec<_> = ended.iter().enumerate().filter_map(told).collect();
        format!("gave {}", told.join(" "))
    }

    fn wanted(&self, text: String, ended: &[Option<How>], started: usize, now: u64) -> Wanted {
        let of = |wanted| ended.iter().filter(|how| **how == Some(wanted)).count() as u64;
        let (done, failed) = (of(How::Done), of(How::Failed));
        let (late, skipped) = (of(How::TimedOut), of(How::Skipped));
        let started = started as u64;
        let cancelled = started - done - failed - late - skipped;
        Wanted {
            text,
            counts: [started, done, failed, late, skipped, cancelled],
            took: now,
        }
    }
}
