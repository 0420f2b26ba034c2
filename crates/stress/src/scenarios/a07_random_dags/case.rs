//! One random DAG, with stages that keep their own book of what happened.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::{Outcome, StageCx, Stop};
use stageflow::executor::{Engine, RunOptions, RunReport};
use stageflow::graph::{Handle, Pipeline, Stage};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::explore::{start_order, wiring};
use crate::{Breach, Seed};

/// A DAG, and how its stages pass their time.
pub(super) struct Case {
    up: Vec<Vec<usize>>,
    yields: Vec<u8>,
    spawned: Vec<bool>,
    width: Option<NonZeroUsize>,
}

/// How runs are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether they are given one slot more than is said.
    pub(super) wider: bool,
    /// When one that has not ended hangs.
    pub(super) patience: Duration,
}

/// What stages write down themselves: nothing in it is the engine's word.
struct Ledger {
    stamp: AtomicU64,
    live: AtomicUsize,
    peak: AtomicUsize,
    stages: Vec<Entry>,
}

#[derive(Default)]
struct Entry {
    calls: AtomicU32,
    /// Stamps; 0 is never.
    started: AtomicU64,
    ended: AtomicU64,
}

/// What is wrong with a run.
pub(super) struct Complaint {
    pub(super) invariant: &'static str,
    pub(super) breach: Breach,
    pub(super) detail: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) starts: u64,
    pub(super) edges: u64,
}

struct Node {
    at: usize,
    yields: u8,
    ledger: Arc<Ledger>,
}

impl Stage for Node {
    type Input = Vec<Arc<u64>>;
    type Output = u64;

    async fn run(&self, _cx: StageCx, upstream: Vec<Arc<u64>>) -> Result<u64, Stop> {
        let entry = &self.ledger.stages[self.at];
        entry.calls.fetch_add(1, Ordering::SeqCst);
        let live = self.ledger.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.ledger.peak.fetch_max(live, Ordering::SeqCst);
        entry.started.store(self.ledger.stamp(), Ordering::SeqCst);
        for _ in 0..self.yields {
            yield_now().await;
        }
        let value = value(self.at, upstream.iter().map(|value| **value));
        self.ledger.live.fetch_sub(1, Ordering::SeqCst);
        entry.ended.store(self.ledger.stamp(), Ordering::SeqCst);
        Ok(value)
    }
}

impl Ledger {
    fn stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Depends on every value above, and on their order.
fn value(at: usize, upstream: impl Iterator<Item = u64>) -> u64 {
    let seed = Seed::new(at as u64);
    upstream.fold(seed, |sum, up| sum.child(up)).get()
}

impl Case {
    pub(super) fn random(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let stages = if rng.random_ratio(1, 8) {
            rng.random_range(100..=500)
        } else {
            rng.random_range(1..=50)
        };
        let most = rng.random_range(1..=4);
        // A quarter of them never suspends: then the order of starts is known, too.
        let restless = rng.random_ratio(3, 4);
        let mut up_to = |most: u8| {
            if restless && rng.random_ratio(1, 2) {
                rng.random_range(0..=most)
            } else {
                0
            }
        };
        let yields = (0..stages).map(|_| up_to(5)).collect();
        let spawned = (0..stages).map(|_| up_to(9) == 9).collect();
        Self {
            up: wiring(&mut rng, stages, most),
            yields,
            spawned,
            width: NonZeroUsize::new(rng.random_range(0..=8)),
        }
    }

    fn pipeline(&self, ledger: &Arc<Ledger>) -> Result<Pipeline<(), u64>, String> {
        let mut p = Pipeline::builder::<()>("random");
        let mut handles: Vec<Handle<u64>> = Vec::with_capacity(self.up.len());
        for (at, up) in self.up.iter().enumerate() {
            let node = Node {
                at,
                yields: self.yields[at],
                ledger: Arc::clone(ledger),
            };
            let upstream: Vec<Handle<u64>> = up.iter().map(|up| handles[*up]).collect();
            let stage = p.stage(format!("s{at}"), node);
            let stage = if self.spawned[at] {
                stage.spawn()
            } else {
                stage
            };
            handles.push(stage.after(upstream));
        }
        let output = handles.last().copied().ok_or("there is no stage")?;
        p.output(output).build().map_err(|error| error.to_string())
    }

    /// Runs it and checks everything.
    pub(super) async fn run(&self, engine: &Engine, manner: Manner) -> Result<Done, Complaint> {
        let stages = self.up.iter().map(|_| Entry::default()).collect();
        let ledger = Arc::new(Ledger {
            stamp: AtomicU64::new(0),
            live: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            stages,
        });
        let pipeline = self
            .pipeline(&ledger)
            .map_err(|error| complaint("a DAG is built", Breach::WrongStatus, error))?;
        let mut options = RunOptions::new();
        if let Some(width) = self.width {
            let more = usize::from(manner.wider);
            options = options.concurrency(width.saturating_add(more));
        }
        let report = timeout(manner.patience, engine.run(&pipeline, (), options)).await;
        self.check(&ledger)?;
        let Ok(report) = report else {
            let detail = format!("{} stages, all of which have ended", self.up.len());
            return Err(complaint("every run ends", Breach::Hang, detail));
        };
        self.check_values(&report)?;
        Ok(Done {
            starts: self.up.len() as u64,
            edges: self.up.iter().map(|up| up.len() as u64).sum(),
        })
    }

    fn check_values(&self, report: &RunReport<u64>) -> Result<(), Complaint> {
        let wanted = self.interpreted();
        let seen = report.output().ok().copied();
        if seen != wanted.last().copied() || report.outcome() != Outcome::Succeeded {
            let detail = format!(
                "{seen:?} and {:?}, not {:?}",
                report.outcome(),
                wanted.last()
            );
            return Err(complaint(
                "the result is that of one stage after the other",
                Breach::WrongStatus,
                detail,
            ));
        }
        for (at, wanted) in wanted.iter().enumerate().step_by(7) {
            let seen = report.value_of(&format!("s{at}"));
            if seen.and_then(|value| value.downcast_ref::<u64>()) != Some(wanted) {
                let detail = format!("the value of stage {at}");
                return Err(complaint(
                    "each value is in the report",
                    Breach::Lost,
                    detail,
                ));
            }
        }
        Ok(())
    }

    /// One stage after the other, in the order of declaration.
    fn interpreted(&self) -> Vec<u64> {
        let mut values: Vec<u64> = Vec::with_capacity(self.up.len());
        for (at, up) in self.up.iter().enumerate() {
            let value = value(at, up.iter().map(|up| values[*up]));
            values.push(value);
        }
        values
    }

    fn check(&self, ledger: &Ledger) -> Result<(), Complaint> {
        let read = |stamp: &AtomicU64| stamp.load(Ordering::SeqCst);
        let mut order = Vec::with_capacity(self.up.len());
        for (at, entry) in ledger.stages.iter().enumerate() {
            let calls = entry.calls.load(Ordering::SeqCst);
            if calls != 1 {
                let breach = if calls == 0 {
                    Breach::Lost
                } else {
                    Breach::Duplicated
                };
                let detail = format!("stage {at} of {} was called {calls} times", self.up.len());
                return Err(complaint("each stage runs exactly once", breach, detail));
            }
            for up in &self.up[at] {
                let ended = read(&ledger.stages[*up].ended);
                if ended == 0 || ended >= read(&entry.started) {
                    let detail = format!("stage {at} started before stage {up} had ended");
                    return Err(complaint(
                        "a stage starts after all it waits for",
                        Breach::BrokenOrder,
                        detail,
                    ));
                }
            }
            order.push((read(&entry.started), at));
        }
        let peak = ledger.peak.load(Ordering::SeqCst);
        if self.width.is_some_and(|width| peak > width.get()) {
            let detail = format!("{peak} ran at a time, and {:?} may", self.width);
            return Err(complaint(
                "no more run than may",
                Breach::BrokenOrder,
                detail,
            ));
        }
        if self.yields.iter().all(|yields| *yields == 0) && !self.spawned.contains(&true) {
            order.sort_unstable();
            let seen: Vec<usize> = order.into_iter().map(|(_, at)| at).collect();
            let wanted = start_order(&self.up);
            if let Some(at) = (0..seen.len()).find(|at| seen[*at] != wanted[*at]) {
                let detail = format!("start {at} is stage {}, not {}", seen[at], wanted[at]);
                return Err(complaint(
                    "stages start in the order in which they became ready",
                    Breach::BrokenOrder,
                    detail,
                ));
            }
        }
        Ok(())
    }
}

fn complaint(invariant: &'static str, breach: Breach, detail: String) -> Complaint {
    Complaint {
        invariant,
        breach,
        detail,
    }
}
