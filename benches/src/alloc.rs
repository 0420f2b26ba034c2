//! Allocations and live heap.
//!
//! An allocator that counts slows every allocation down, so it lives in a program of its own, `stageflow-counts`, which
//! hands its measuring function to [`count_all`] and prints what comes back. The table runs that program and reads it.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::harness::{Batch, current_thread, inside_a_task};
use crate::limits::Driver;
use crate::ours::Stageflow;
use crate::stage::Body;
use crate::subject::{Mode, Placement, Subject as _};
use crate::topology::{self, Plan};

/// What happened to the heap while something ran.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    count: u64,
    peak: u64,
    live: i64,
}

impl Allocated {
    /// How many allocations, and how many bytes more than before there were at most and in the end.
    #[must_use]
    pub fn new(count: u64, peak: u64, live: i64) -> Self {
        Self { count, peak, live }
    }
}

/// Allocations that each further stage of a chain costs.
pub(crate) const PER_STAGE: &str = "per_stage";
/// Allocations that a run costs before its first stage.
pub(crate) const PER_RUN: &str = "per_run";
/// Bytes of state a stage while a wide run is at its widest.
pub(crate) const STATE: &str = "state";
/// Bytes that a run of ten stages holds in the middle, without the task it runs in.
pub(crate) const IN_FLIGHT: &str = "in_flight";

type Measure = fn(&mut dyn FnMut()) -> Allocated;
type BatchOf = Box<dyn Fn(&Arc<Plan>) -> Option<Batch>>;

/// How many runs are under way at once when they are weighed.
const RUNS: u32 = 1000;

/// A figure that `stageflow-counts` printed, if that program is there.
pub(crate) fn read(who: &str, name: &str) -> Option<f64> {
    static FIGURES: LazyLock<BTreeMap<String, f64>> =
        LazyLock::new(|| run_counts().unwrap_or_default());
    FIGURES.get(&format!("{who}.{name}")).copied()
}

fn run_counts() -> Option<BTreeMap<String, f64>> {
    let program = env::current_exe().ok()?.with_file_name("stageflow-counts");
    let Ok(output) = Command::new(program).output() else {
        println!("Rows 15 and 16 need both programs: cargo build --release -p stageflow-benches\n");
        return None;
    };
    Some(parse(&String::from_utf8(output.stdout).ok()?))
}

fn parse(lines: &str) -> BTreeMap<String, f64> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}

/// Counts everything, for the limits and for Stageflow in both modes.
pub(crate) fn count_all(measure: Measure) -> Vec<(String, f64)> {
    let Ok(runtime) = current_thread() else {
        return Vec::new();
    };
    let counter = Counter { measure, runtime };
    let mut figures = Vec::new();
    for (who, on_chain, on_wide) in subjects() {
        let mut add = |name: &str, value: Option<f64>| {
            figures.extend(value.map(|value| (format!("{who}.{name}"), value)));
        };
        let per_stage = counter.allocations(&on_chain);
        add(PER_STAGE, per_stage.map(|(per_stage, _)| per_stage));
        add(PER_RUN, per_stage.map(|(_, per_run)| per_run));
        add(STATE, counter.state(&on_wide));
        add(IN_FLIGHT, counter.in_flight(&on_chain));
    }
    figures
}

/// Who is counted: a name, how a chain is run, how a wide graph is run.
fn subjects() -> [(&'static str, BatchOf, BatchOf); 3] {
    let driver = |driver: Driver| -> BatchOf { Box::new(move |plan| Some(driver.batch(plan))) };
    let ours = |mode| -> BatchOf {
        let subject = Stageflow::new(mode);
        Box::new(move |plan| subject.pipeline(plan, Placement::Inline))
    };
    [
        ("limit", driver(Driver::AwaitDyn), driver(Driver::DagFu)),
        ("bare", ours(Mode::Bare), ours(Mode::Bare)),
        ("default", ours(Mode::Default), ours(Mode::Default)),
    ]
}

struct Counter {
    measure: Measure,
    runtime: Runtime,
}

impl Counter {
    /// The slope and the intercept of allocations over the number of stages.
    fn allocations(&self, batch_of: &BatchOf) -> Option<(f64, f64)> {
        let few = self.allocations_a_run(batch_of, 10)?;
        let many = self.allocations_a_run(batch_of, 1000)?;
        let per_stage = (many - few) / 990.0;
        Some((per_stage, few - 10.0 * per_stage))
    }

    /// The difference between many runs and fewer, so that the task they run in does not count.
    fn allocations_a_run(&self, batch_of: &BatchOf, stages: usize) -> Option<f64> {
        let batch = batch_of(&Arc::new(topology::chain(stages, &Body::Ready)))?;
        let count = |runs| {
            let allocated = (self.measure)(&mut || inside_a_task(&self.runtime, batch(runs)));
            precise(allocated.count)
        };
        count(10);
        Some((count(110) - count(10)) / 100.0)
    }

    fn state(&self, batch_of: &BatchOf) -> Option<f64> {
        let plan = Arc::new(topology::source_fan(10_000));
        let batch = batch_of(&plan)?;
        let mut peak = 0;
        // The first run may build what later ones use again.
        for _ in 0..2 {
            peak = (self.measure)(&mut || inside_a_task(&self.runtime, batch(1))).peak;
        }
        Some(precise(peak) / 10_001.0)
    }

    fn in_flight(&self, batch_of: &BatchOf) -> Option<f64> {
        let gate = Arc::new(Semaphore::new(0));
        let mut bodies = vec![Body::Ready; 10];
        bodies[5] = Body::Gate(Arc::clone(&gate));
        let deps: Vec<Vec<u32>> = (0..10_u32)
            .map(|stage| stage.checked_sub(1).into_iter().collect())
            .collect();
        let batch = batch_of(&Arc::new(Plan::new(&deps, bodies)))?;
        let only_a_task: Batch = {
            let gate = Arc::clone(&gate);
            Arc::new(move |_| {
                let gate = Arc::clone(&gate);
                Box::pin(async move { drop(gate.acquire().await) })
            })
        };
        let runs = self.live_at_gate(&batch, &gate) - self.live_at_gate(&only_a_task, &gate);
        Some(runs / f64::from(RUNS))
    }

    /// The live heap while all runs wait, after a first time that fills what is kept for reuse.
    fn live_at_gate(&self, batch: &Batch, gate: &Semaphore) -> f64 {
        let mut live = 0;
        for _ in 0..2 {
            let mut tasks = JoinSet::new();
            let allocated = (self.measure)(&mut || {
                self.runtime.block_on(async {
                    for _ in 0..RUNS {
                        tasks.spawn(batch(1));
                    }
                    // An engine may take a few turns to get there.
                    for _ in 0..100 {
                        yield_now().await;
                    }
                });
            });
            live = allocated.live;
            gate.add_permits(RUNS as usize);
            self.runtime.block_on(tasks.join_all());
            gate.forget_permits(RUNS as usize);
        }
        precise(u64::try_from(live).unwrap_or(0))
    }
}

fn precise(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = count as f64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pretends that each call allocated once more than the one before, by 1000.
    fn counting(work: &mut dyn FnMut()) -> Allocated {
        work();
        Allocated::new(7, 20_002, 5000)
    }

    #[test]
    fn every_figure_of_the_limits_is_there() {
        let figures: BTreeMap<String, f64> = count_all(counting).into_iter().collect();
        assert_eq!(figures["limit.per_stage"], 0.0);
        assert_eq!(figures["limit.state"], 2.0);
        assert_eq!(figures["limit.in_flight"], 0.0);
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let figures = parse("limit.state 140.5\nnonsense\nlimit.per_run 0\n");
        assert_eq!(figures.len(), 2);
        assert_eq!(figures["limit.state"], 140.5);
    }
}
