//! Twenty thousand random DAGs against an oracle.

mod case;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stageflow::executor::Engine;
use tokio::task::JoinSet;

use self::case::{Case, Complaint, Done, Manner};
use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Seed, Theme, Tier};

/// How many DAGs are on their way at a time.
const AT_A_TIME: u64 = 8;

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A07-RANDOM-DAGS",
        "twenty thousand random DAGs against an oracle",
    )
    .proves("in random DAGs of up to 500 stages each stage runs once, after all it waits for, on any number of workers, and the result is that of one stage after the other")
    .theme(Theme::Tue)
    .tier(Tier::Smoke)
    .targets(["DAG-003", "DAG-009"])
    .modes(["D4", "D5", "D6"])
    .expected(Duration::from_secs(15))
    .control(Control::engine("start-early", "a stage starts before its last dependency, once in 10 000", "StartEarly", 10_000))
    .control(Control::engine("start-twice", "a ready stage is started twice, once in 10 000", "StartTwice", 10_000))
    .control(Control::engine("forget-dependent", "an end does not reach a dependent, once in 100 000", "ForgetDependent", 100_000))
    .control(Control::engine("skip-stage", "a stage is not run, once in 100 000", "SkipStage", 100_000))
    .control(Control::engine("swap-ready", "two ready stages change places, once in 1000", "SwapReady", 1000))
    .control(Control::own("too-wide", "runs are given one slot more than is said"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let runtimes = lab.runtimes(&Runtime::ALL);
    let count = lab.scaled(20_000) / runtimes.len() as u64;
    let mut total = Done::default();
    for (place, runtime) in (0..).zip(runtimes) {
        if lab.is_over() {
            break;
        }
        let (first, end) = lab.part(place * count, (place + 1) * count);
        let shared = Arc::new(Shared {
            engine: lab.engine().build(),
            seed: lab.seed(),
            next: AtomicU64::new(first),
            end,
            manner: Manner {
                wider: lab.is_broken("too-wide"),
                patience: Duration::from_secs(if lab.is_control() { 2 } else { 30 }),
            },
            stop: AtomicBool::new(false),
        });
        let ends = lab.on(runtime, all(Arc::clone(&shared)))?;
        for end in ends {
            match end {
                Ok(done) => {
                    total.starts += done.starts;
                    total.edges += done.edges;
                }
                Err((
                    case,
                    Complaint {
                        invariant,
                        breach,
                        detail,
                    },
                )) => {
                    lab.witness.trial = case;
                    lab.check(false, invariant, breach, || {
                        format!("DAG {case} on {runtime}: {detail}")
                    });
                }
            }
        }
        lab.check(
            shared.engine.live_tasks() == 0,
            "no task is left",
            Breach::ResourceLeak,
            || format!("{} tasks", shared.engine.live_tasks()),
        );
        lab.count_trials(shared.next.load(Ordering::SeqCst).min(shared.end) - first);
    }
    lab.metric("stage_starts", "count", total.starts as f64);
    lab.metric("edges_checked", "count", total.edges as f64);
    Ok(())
}

struct Shared {
    engine: Engine,
    seed: Seed,
    next: AtomicU64,
    end: u64,
    manner: Manner,
    stop: AtomicBool,
}

type End = Result<Done, (u64, Complaint)>;

/// Several DAGs at a time, each in a task of its own, so that all workers have something to do.
async fn all(shared: Arc<Shared>) -> Vec<End> {
    let mut lanes = JoinSet::new();
    for _ in 0..AT_A_TIME {
        lanes.spawn(lane(Arc::clone(&shared)));
    }
    lanes.join_all().await
}

/// One DAG after the other, until one goes wrong.
async fn lane(shared: Arc<Shared>) -> End {
    let mut total = Done::default();
    loop {
        let case = shared.next.fetch_add(1, Ordering::SeqCst);
        if case >= shared.end || shared.stop.load(Ordering::SeqCst) {
            return Ok(total);
        }
        let dag = Case::random(shared.seed.child(case));
        match dag.run(&shared.engine, shared.manner).await {
            Ok(done) => {
                total.starts += done.starts;
                total.edges += done.edges;
            }
            Err(complaint) => {
                shared.stop.store(true, Ordering::SeqCst);
                return Err((case, complaint));
            }
        }
    }
}
