//! Runs whose caller goes away at a random moment, and cleanups after every ending.

use std::time::Duration;

use stageflow::prelude::*;
use stageflow_testkit::dag::{DagSpec, Dags, Interruption, Tempo, Watch};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Flavour, Property, RecordingSink, TestRuntime};

fn dags() -> Dags {
    Dags::up_to(25).ending_badly().limited().crowded().placed_anywhere()
}

#[test]
fn a_run_that_is_dropped_at_any_moment_leaves_nothing_and_cleans_up() {
    let runtime = TestRuntime::paused();
    let cases = (dags(), 0..120_u64);
    Property::new("a dropped run leaves nothing").cases(300).holds_for(&cases, |(spec, after)| {
        runtime.block_on(drop_after(&spec, Tempo::Clock, Duration::from_millis(after)))
    });
}

#[test]
fn so_does_one_on_several_threads() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let cases = (Dags::up_to(25).ending_badly().crowded().placed_anywhere(), 0..300_u64);
    Property::new("a dropped run leaves nothing, on several threads").cases(200).holds_for(&cases, |(spec, after)| {
        runtime.block_on(drop_after(&spec, Tempo::Yields, Duration::from_micros(after)))
    });
}

#[test]
fn however_a_run_ends_each_cleanup_runs_once_in_reverse_when_no_stage_is_alive() {
    let runtime = TestRuntime::paused();
    let dags = dags().interrupted();
    Property::new("cleanups run in reverse, after the stages").cases(300).holds_for(&dags, |spec| {
        runtime.block_on(async {
            let watch = Watch::new(&spec, Tempo::Clock).with_cleanups();
            let pipeline = spec.typed(&watch).unwrap();
            let engine = Engine::new();
            let mut options = RunOptions::new();
            if let Some(Interruption::CancelAfter(after) | Interruption::Deadline(after)) = spec.interruption {
                options = options.deadline(Duration::from_millis(after.into()));
            }
            let report = engine.run(&pipeline, spec.input, options).await;
            prop_assert_eq!(report.cleanups().len(), watch.registered().len());
            prop_assert!(report.cleanups().iter().all(|cleanup| cleanup.outcome == Outcome::Succeeded));
            check_cleanups(&watch)
        })
    });
}

async fn drop_after(spec: &DagSpec, tempo: Tempo, after: Duration) -> TestCaseResult {
    let watch = Watch::new(spec, tempo).with_cleanups();
    let pipeline = spec.typed(&watch).unwrap();
    let sink = RecordingSink::new();
    let engine = Engine::builder().events(sink.clone()).build();
    let report = tokio::time::timeout(after, engine.run(&pipeline, spec.input, RunOptions::new())).await;
    let dropped = report.is_err();
    drop(report);
    engine.settled().await;
    prop_assert_eq!(watch.probe().live(), 0, "a stage outlives its run");
    prop_assert_eq!(engine.live_tasks(), 0, "a task outlives its run");
    prop_assert_eq!(watch.too_early(spec), vec![]);
    sink.check_against(pipeline.plan()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    if dropped && !sink.names().is_empty() {
        let last = sink.lines().last().cloned().unwrap_or_default();
        prop_assert!(last.ends_with("run.ended cancelled") || last.ends_with("run.ended failed"), "{last}");
    }
    check_cleanups(&watch)
}

fn check_cleanups(watch: &Watch) -> TestCaseResult {
    let mut registered = watch.registered();
    registered.reverse();
    let cleaned: Vec<usize> = watch.cleaned().iter().map(|cleaned| cleaned.stage).collect();
    prop_assert_eq!(cleaned, registered);
    prop_assert!(watch.cleaned().iter().all(|cleaned| cleaned.live == 0), "{:?}", watch.cleaned());
    Ok(())
}
