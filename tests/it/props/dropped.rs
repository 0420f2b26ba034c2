//! Runs whose caller goes away at a random moment, and cleanups after every ending.

use std::time::Duration;

use stageflow::graph::Plan;
use stageflow::prelude::*;
use stageflow_testkit::dag::{DagSpec, Dags, Interruption, Tempo, Watch};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Flavour, Property, RecordingSink, TestRuntime};

use super::support::Around;

fn dags() -> Dags {
    Dags::up_to(25)
        .ending_badly()
        .limited()
        .crowded()
        .placed_anywhere()
}

#[test]
fn a_run_that_is_dropped_at_any_moment_leaves_nothing_and_cleans_up() {
    let runtime = TestRuntime::paused();
    let cases = (dags(), 0..120_u64, arounds());
    Property::new("a dropped run leaves nothing")
        .cases(300)
        .holds_for(&cases, |(spec, after, around)| {
            runtime.block_on(drop_after(
                &spec,
                Tempo::Clock,
                Duration::from_millis(after),
                around,
            ))
        });
}

#[test]
fn so_does_one_on_several_threads() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let cases = (
        Dags::up_to(25).ending_badly().crowded().placed_anywhere(),
        0..40_usize,
        arounds(),
    );
    Property::new("a dropped run leaves nothing, on several threads")
        .cases(200)
        .holds_for(&cases, |(spec, polls, around)| {
            runtime.block_on(drop_after_polls(&spec, polls, around))
        });
}

#[test]
fn however_a_run_ends_each_cleanup_runs_once_in_reverse_when_no_stage_is_alive() {
    let runtime = TestRuntime::paused();
    let dags = dags().interrupted();
    Property::new("cleanups run in reverse, after the stages")
        .cases(300)
        .holds_for(&dags, |spec| {
            runtime.block_on(async {
                let watch = Watch::new(&spec, Tempo::Clock).with_cleanups();
                let pipeline = spec.typed(&watch).unwrap();
                let engine = Engine::new();
                let mut options = RunOptions::new();
                if let Some(Interruption::CancelAfter(after) | Interruption::Deadline(after)) =
                    spec.interruption
                {
                    options = options.deadline(Duration::from_millis(after.into()));
                }
                let report = engine.run(&pipeline, spec.input, options).await;
                prop_assert_eq!(report.cleanups().len(), watch.registered().len());
                prop_assert!(
                    report
                        .cleanups()
                        .iter()
                        .all(|cleanup| cleanup.outcome == Outcome::Succeeded)
                );
                check_cleanups(&watch)
            })
        });
}

fn arounds() -> impl Strategy<Value = Around> {
    prop_oneof![Just(Around::Nothing), Just(Around::Layer)]
}

async fn drop_after(
    spec: &DagSpec,
    tempo: Tempo,
    after: Duration,
    around: Around,
) -> TestCaseResult {
    let (watch, sink) = (
        Watch::new(spec, tempo).with_cleanups(),
        RecordingSink::new(),
    );
    let (pipeline, engine) = (spec.typed(&watch).unwrap(), around.engine(&sink));
    let report =
        tokio::time::timeout(after, engine.run(&pipeline, spec.input, RunOptions::new())).await;
    let dropped = report.is_err();
    drop(report);
    check_remains(spec, &watch, &sink, &engine, pipeline.plan(), dropped).await
}

/// On a running clock a moment is counted in polls of the run.
async fn drop_after_polls(spec: &DagSpec, polls: usize, around: Around) -> TestCaseResult {
    let (watch, sink) = (
        Watch::new(spec, Tempo::Yields).with_cleanups(),
        RecordingSink::new(),
    );
    let (pipeline, engine) = (spec.typed(&watch).unwrap(), around.engine(&sink));
    let mut run = Box::pin(engine.run(&pipeline, spec.input, RunOptions::new()));
    let mut dropped = true;
    for _ in 0..polls {
        if futures_util::poll!(run.as_mut()).is_ready() {
            dropped = false;
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(run);
    check_remains(spec, &watch, &sink, &engine, pipeline.plan(), dropped).await
}

async fn check_remains(
    spec: &DagSpec,
    watch: &Watch,
    sink: &RecordingSink,
    engine: &Engine,
    plan: &Plan,
    dropped: bool,
) -> TestCaseResult {
    engine.settled().await;
    prop_assert_eq!(watch.probe().live(), 0, "a stage outlives its run");
    prop_assert_eq!(engine.live_tasks(), 0, "a task outlives its run");
    prop_assert_eq!(watch.too_early(spec), vec![]);
    if sink.names().is_empty() {
        // It was dropped before its first poll: it never was.
        prop_assert!(dropped && watch.probe().calls() == 0);
        return Ok(());
    }
    sink.check_against(plan)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let last = sink.lines().last().cloned().unwrap_or_default();
    let ended_early = last.ends_with("run.ended cancelled") || last.ends_with("run.ended failed");
    prop_assert!(ended_early || !dropped, "{last}");
    check_cleanups(watch)
}

fn check_cleanups(watch: &Watch) -> TestCaseResult {
    let mut registered = watch.registered();
    registered.reverse();
    let cleaned: Vec<usize> = watch
        .cleaned()
        .iter()
        .map(|cleaned| cleaned.stage)
        .collect();
    prop_assert_eq!(cleaned, registered);
    prop_assert!(
        watch.cleaned().iter().all(|cleaned| cleaned.live == 0),
        "{:?}",
        watch.cleaned()
    );
    Ok(())
}
