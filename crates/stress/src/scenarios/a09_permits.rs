//! Children that need their parents' permits, and runs that want the same two pools.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use rand::RngExt as _;
use stageflow::executor::EngineBuilder;
use stageflow::prelude::*;

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("A09-PERMITS", "a child that needs its parent's permit")
        .proves(
            "a stage that waits holds nothing: parents and children in a pool of one, and runs that name two pools in \
             different order, all end; there are never more at work than there are units, and every unit comes back",
        )
        .theme(Theme::Tue)
        .tier(Tier::Daily)
        .targets(["DAG-001", "WORK-008"])
        .modes(["D9"])
        .expected(Duration::from_secs(1))
        .control(engine(
            "hold-and-wait",
            "lets a stage that waits for its child keep its units",
            "HoldWhileWaiting",
            1,
        ))
        .control(engine(
            "leak-units",
            "does not give back what one stage in three has that fails",
            "LeakUnits",
            3,
        ))
        .control(Control::own(
            "no-lend",
            "waits for the child without lending anything",
        ))
        .run(run)
}

/// How much of each pool is used, as the stages themselves say.
#[derive(Default)]
struct Ledger {
    at_work: [AtomicU32; 2],
    most: [AtomicU32; 2],
}

/// A pool that a stage names, the first or the second, and the units it takes of it.
type Taken = Vec<(usize, u32)>;

struct AtWork<'a>(&'a Ledger, &'a Taken);

impl<'a> AtWork<'a> {
    fn begin(ledger: &'a Ledger, taken: &'a Taken) -> Self {
        for (pool, units) in taken {
            let now = ledger.at_work[*pool].fetch_add(*units, Ordering::SeqCst) + units;
            ledger.most[*pool].fetch_max(now, Ordering::SeqCst);
        }
        Self(ledger, taken)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        for (pool, units) in self.1 {
            self.0.at_work[*pool].fetch_sub(*units, Ordering::SeqCst);
        }
    }
}

const POOLS: [&str; 2] = ["a", "b"];

/// What one run is to do.
#[derive(Clone, Debug)]
struct Job {
    /// How many runs there are below it.
    depth: u32,
    taken: Taken,
    fails: bool,
    lends: bool,
}

/// A pipeline of one stage that works, runs the same pipeline one step further down, and works again.
fn pipeline(
    engine: &Engine,
    ledger: &Arc<Ledger>,
    job: &Job,
) -> Result<Pipeline<u32, u32>, stageflow::graph::BuildError> {
    let (engine, ledger, it) = (engine.clone(), Arc::clone(ledger), job.clone());
    let work = move |cx: StageCx, below: Arc<u32>| {
        let (engine, ledger, job) = (engine.clone(), Arc::clone(&ledger), it.clone());
        let work: BoxFuture<'static, Result<u32, Stop>> = Box::pin(async move {
            let working = async || {
                let _at_work = AtWork::begin(&ledger, &job.taken);
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            working().await;
            let mut depth = 0;
            if *below > 0 {
                let child = pipeline(&engine, &ledger, &job)?;
                let run = engine.run(&child, *below - 1, RunOptions::new());
                let report = if job.lends {
                    cx.lend(run).await
                } else {
                    run.await
                };
                depth = 1 + *report.output()?;
                working().await;
            } else if job.fails {
                return Err(Stop::fail("it was to fail"));
            }
            Ok(depth)
        });
        work
    };
    let mut p = Pipeline::builder("permits");
    let n = p.input::<u32>();
    let mut stage = p.stage("work", stage_fn(work));
    for (pool, units) in &job.taken {
        stage = stage.pool(POOLS[*pool], NonZeroU32::MIN.saturating_add(units - 1));
    }
    let stage = stage.after(n);
    p.output(stage).build()
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut runs = 0;
    lab.trials(lab.scaled(300), |lab, trial| {
        let mut rng = trial.seed.rng();
        let capacities = [rng.random_range(1..4), rng.random_range(1..4_u32)];
        let lends = !lab.is_broken("no-lend");
        let jobs: Vec<Job> = (0..rng.random_range(1..12))
            .map(|_| {
                let first = rng.random_range(0..2);
                let mut taken = vec![(first, rng.random_range(1..=capacities[first]))];
                if rng.random_bool(0.6) {
                    taken.push((1 - first, rng.random_range(1..=capacities[1 - first])));
                }
                let (depth, fails) = (rng.random_range(0..4), rng.random_bool(0.2));
                Job {
                    depth,
                    taken,
                    fails,
                    lends,
                }
            })
            .collect();
        runs += jobs.iter().map(|job| u64::from(job.depth) + 1).sum::<u64>();
        go(lab, &jobs, capacities);
        Ok(())
    })?;
    lab.metric("runs", "count", runs as f64);
    Ok(())
}

fn with_pools(engine: EngineBuilder, capacities: [u32; 2]) -> Engine {
    let pools = POOLS.into_iter().zip(capacities);
    let give = |engine: EngineBuilder, (name, units): (&'static str, u32)| {
        engine.pool(name, NonZeroU32::MIN.saturating_add(units - 1))
    };
    pools.fold(engine, give).build()
}

/// All jobs at once, and at the most two seconds for it.
fn go(lab: &mut Lab, jobs: &[Job], capacities: [u32; 2]) {
    let engine = with_pools(lab.engine(), capacities);
    let ledger = Arc::new(Ledger::default());
    let all = async {
        let run = async |job: &Job| {
            let pipeline = pipeline(&engine, &ledger, job).ok()?;
            let report = engine.run(&pipeline, job.depth, RunOptions::new()).await;
            Some(report.output().ok().copied())
        };
        let all = join_all(jobs.iter().map(run));
        tokio::time::timeout(Duration::from_secs(2), all).await
    };
    let ended = lab.paused(all);
    lab.check(
        ended.is_ok(),
        "runs that share pools all end within two seconds",
        Breach::Hang,
        || format!("{jobs:?} with {capacities:?}: {:?}", engine.slots()),
    );
    for (job, depth) in jobs.iter().zip(ended.iter().flatten()) {
        lab.check(
            *depth == Some((!job.fails).then_some(job.depth)),
            "a run gives what its children give, or fails with them",
            Breach::WrongStatus,
            || format!("{depth:?} of {job:?}"),
        );
    }
    for (pool, capacity) in capacities.into_iter().enumerate() {
        let most = ledger.most[pool].load(Ordering::SeqCst);
        lab.check(
            most <= capacity,
            "there are never more at work than there are units",
            Breach::WrongStatus,
            || format!("{most} of {capacity} in pool {}: {jobs:?}", POOLS[pool]),
        );
    }
    lab.check(
        engine.slots().is_idle(),
        "every unit comes back, and nobody is left in a line",
        Breach::ResourceLeak,
        || format!("{:?} after {jobs:?}", engine.slots()),
    );
}
