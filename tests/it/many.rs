//! Many runs of one pipeline at the same time: each is as if it were alone.

use std::sync::Arc;

use stageflow::context::{RunId, SeededIds};
use stageflow::executor::RunReport;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime};
use tokio::task::JoinSet;

use crate::support::{Lab, PassOn, cleanups, outcomes, placed, texts, watched};

/// How a run ends, chosen by its number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Succeed,
    Fail,
    Cancel,
    Panic,
    Skip,
    BeCancelled,
}

const FATES: [Fate; 6] = [
    Fate::Succeed,
    Fate::Fail,
    Fate::Cancel,
    Fate::Panic,
    Fate::Skip,
    Fate::BeCancelled,
];

fn fate(number: u64) -> Fate {
    FATES[(number % 6) as usize]
}

async fn split(cx: StageCx, n: Arc<u64>) -> Result<Vec<u64>, Stop> {
    cx.record("number", *n)?;
    cx.on_cleanup(format!("split {n}"), async || ());
    for _ in 0..*n % 4 {
        tokio::task::yield_now().await;
    }
    Ok((0..=*n % 5).map(|i| n.wrapping_mul(31) + i).collect())
}

async fn decide(cx: StageCx, n: Arc<u64>, waiting: Gate) -> Result<u64, Stop> {
    cx.try_emit("decided", serde_json::json!(*n))?;
    tokio::task::yield_now().await;
    match fate(*n) {
        Fate::Succeed => Ok(*n * 1_000),
        Fate::Fail => Err(Stop::fail(format!("run {n} fails"))),
        Fate::Cancel => Err(Stop::cancel(format!("run {n} cancels"))),
        Fate::Panic => std::panic::resume_unwind(Box::new(format!("run {n} panics"))),
        Fate::Skip => Err(Stop::skip(format!("run {n} skips"))),
        Fate::BeCancelled => {
            waiting.passed().await;
            Ok(0)
        }
    }
}

async fn join(cx: StageCx, (parts, decided): (Arc<Vec<u64>>, Arc<u64>)) -> Result<String, Stop> {
    cx.on_cleanup(format!("join {decided}"), async || ());
    Ok(format!("{decided}: {parts:?}"))
}

fn pipeline(lab: &Lab, placement: Placement, waiting: &Arc<[Gate]>) -> Pipeline<u64, String> {
    let mut p = Pipeline::builder("shared");
    let n = p.input::<u64>();
    let split = p.stage("split", watched(&lab.probe, split)).after(n);
    let waiting = Arc::clone(waiting);
    let decide = watched(&lab.probe, move |cx, (n, _): (Arc<u64>, Arc<Vec<u64>>)| {
        let gate = waiting[*n as usize].clone();
        decide(cx, n, gate)
    });
    let decide = placed(p.stage("decide", decide), placement).after((n, split));
    let join = p
        .stage("join", watched(&lab.probe, join))
        .after((split, decide));
    p.output(join).build().unwrap()
}

fn identity(number: u64) -> RunIdentity {
    RunIdentity::new(RunId::generate(&SeededIds::new(number)))
}

async fn run(
    engine: &Engine,
    pipeline: &Pipeline<u64, String>,
    waiting: &[Gate],
    number: u64,
) -> String {
    let run = engine.run(
        pipeline,
        number,
        RunOptions::new().identity(identity(number)),
    );
    let handle = run.handle();
    // Cancels when the stage is seen to wait, so that alone and together the same has happened before.
    let cancel = async {
        if fate(number) == Fate::BeCancelled {
            waiting[number as usize].crowd(1).await;
            handle.cancel(format!("run {number} is cancelled"));
        }
    };
    let (report, ()) = tokio::join!(run, cancel);
    all_about(&report)
}

/// Everything a report says but times, as text.
fn all_about(report: &RunReport<String>) -> String {
    let recorded = report.recorded().map(|view| format!("{view:?}"));
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {recorded:?} {:?}",
        report.id(),
        report.output().map_err(|error| error.to_string()),
        outcomes(report),
        texts(report.errors()),
        cleanups(report),
        report.cancel_reason(),
        report.events(),
    )
}

fn compare(placement: Placement, waits: bool) {
    const RUNS: u64 = 200;
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        let lab = Lab::with(|builder| {
            if waits {
                builder.intercept(PassOn)
            } else {
                builder
            }
        });
        let waiting: Arc<[Gate]> = (0..RUNS).map(|_| Gate::new()).collect();
        let pipeline = pipeline(&lab, placement, &waiting);
        let mut alone = Vec::new();
        for number in 0..RUNS {
            alone.push(run(&lab.engine, &pipeline, &waiting, number).await);
        }
        lab.sink.clear();
        let mut together = JoinSet::new();
        for number in 0..RUNS {
            let (engine, pipeline, waiting) =
                (lab.engine.clone(), pipeline.clone(), Arc::clone(&waiting));
            together
                .spawn(async move { (number, run(&engine, &pipeline, &waiting, number).await) });
        }
        let mut seen = vec![String::new(); RUNS as usize];
        while let Some(done) = together.join_next().await {
            let (number, said) = done.unwrap();
            seen[number as usize] = said;
        }
        for (number, (together, alone)) in seen.iter().zip(&alone).enumerate() {
            assert_eq!(
                together, alone,
                "run {number} at the same time as others, and alone"
            );
        }
        lab.engine.settled().await;
        let runs = lab.sink.runs();
        assert_eq!(runs.len() as u64, RUNS);
        for number in 0..RUNS {
            let events = lab.sink.events(identity(number).run_id());
            let decided = events
                .iter()
                .find(|recorded| recorded.name() == "decided")
                .unwrap();
            assert!(
                format!("{decided:?}").contains("decide attempt 1"),
                "{decided:?}"
            );
        }
        lab.assert_nothing_left().await;
    });
}

#[test]
fn two_hundred_runs_at_the_same_time_are_each_as_if_alone() {
    compare(Placement::Inline, false);
}

#[test]
fn so_they_are_with_stages_in_tasks_of_their_own() {
    compare(Placement::Spawn, false);
}

#[test]
fn so_they_are_inside_layers_that_wait() {
    compare(Placement::Inline, true);
    compare(Placement::Spawn, true);
}
