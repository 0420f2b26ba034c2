//! Undoing: the last stage that did something first, before the cleanups, tried as its policy says.

use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stageflow::executor::UndoReport;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};
use tokio::time::{Instant, sleep};

use crate::support::{Lab, Log, texts};

/// An undo that writes down what it undoes.
pub(crate) fn written(
    log: &Log,
) -> impl Fn(UndoCx, Given<u64>) -> Ready<Result<(), Stop>> + Send + Sync + 'static + use<> {
    let log = log.clone();
    move |cx: UndoCx, given: Given<u64>| {
        log.write(format!("{} {}", cx.stage(), *given));
        ready(Ok(()))
    }
}

/// `names` one after the other, each with an undo that is written down, and then what `last` is.
pub(crate) fn chain(
    log: &Log,
    names: &[&str],
    last: impl Stage<Input = Arc<u64>, Output = u64>,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("chain");
    let mut at = p.input::<u64>();
    for name in names {
        let add = stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1));
        at = p.stage(name, add).undo(written(log)).after(at);
    }
    let last = p.stage("last", last).after(at);
    p.output(last).build().unwrap()
}

/// The undos of a report, one line each.
pub(crate) fn undos<O>(report: &RunReport<O>) -> Vec<String> {
    let line = |undo: &UndoReport| {
        let stage = report.stage_at(undo.stage).unwrap();
        let error = undo.error.as_ref().map(|error| format!(": {error}"));
        format!(
            "{} {} {}{}",
            stage.name(),
            undo.outcome,
            undo.attempts,
            error.unwrap_or_default()
        )
    };
    report.undos().iter().map(line).collect()
}

/// One stage that succeeds and has this undo, and one that fails.
async fn failing_after<Fut>(
    lab: &Lab,
    policy: UndoPolicy,
    undo: impl Fn(UndoCx, Given<u64>) -> Fut + Send + Sync + 'static,
) -> RunReport<u64>
where
    Fut: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let mut p = Pipeline::builder("two");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::ok(1_u64))
        .undo_with(policy, undo)
        .after(n);
    let b = p.stage("b", script::fail::<Arc<u64>, u64>("no")).after(a);
    let pipeline = p.output(b).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    lab.sink.assert_sound(pipeline.plan());
    report
}

#[tokio::test]
async fn what_was_done_is_undone_backwards_after_the_stages_and_before_the_cleanups() {
    let lab = Lab::new();
    let log = Log::default();
    let tidying = lab.tidying.clone();
    let probe = lab.probe.clone();
    let last = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        tidying.add(&cx, "tidy");
        let live = probe.enter();
        async move {
            drop(live);
            Err(Stop::fail("no"))
        }
    });
    let pipeline = chain(&log, &["a", "b", "c"], last);
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(log.lines(), ["c 3", "b 2", "a 1"]);
    assert_eq!(
        undos(&report),
        ["c succeeded 1", "b succeeded 1", "a succeeded 1"]
    );
    assert!(report.is_undone());
    lab.sink.assert_sound(pipeline.plan());
    let told = lab.assert_nothing_left().await;
    let at = told
        .iter()
        .position(|line| line == "last failed 1")
        .unwrap();
    assert_eq!(
        told[at + 1..],
        [
            "undo c started 1",
            "undo c succeeded 1: undone",
            "undo b started 1",
            "undo b succeeded 1: undone",
            "undo a started 1",
            "undo a succeeded 1: undone",
            "cleanup tidy succeeded",
            "run failed: stage `last` failed",
        ]
    );
}

#[tokio::test]
async fn a_run_that_succeeds_undoes_nothing() {
    let lab = Lab::new();
    let log = Log::default();
    let pipeline = chain(&log, &["a", "b"], script::ok(7));
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &7);
    assert!(log.lines().is_empty() && report.undos().is_empty() && !report.is_undone());
    lab.assert_nothing_left().await;
}

#[test]
fn an_undo_is_tried_again_after_a_failure_and_a_panic_with_the_delays_of_its_policy() {
    paused(async {
        let lab = Lab::new();
        let (log, started) = (Log::default(), Instant::now());
        let told = log.clone();
        let report = failing_after(&lab, UndoPolicy::new(), move |cx: UndoCx, _| {
            let attempt = cx.attempt().get();
            told.write(format!("{attempt} at {} ms", started.elapsed().as_millis()));
            async move {
                match attempt {
                    1 => Err(Stop::fail("busy")),
                    2 => std::panic::resume_unwind(Box::new("oh")),
                    _ => Ok(()),
                }
            }
        })
        .await;
        assert_eq!(log.lines(), ["1 at 0 ms", "2 at 200 ms", "3 at 600 ms"]);
        assert_eq!(undos(&report), ["a succeeded 3"]);
        let told = lab.assert_nothing_left().await;
        let told: Vec<_> = told
            .iter()
            .filter(|line| line.starts_with("undo"))
            .collect();
        assert_eq!(
            told,
            [
                "undo a started 1",
                "undo a failed 1: undoing",
                "undo a started 2",
                "undo a failed 2: undoing",
                "undo a started 3",
                "undo a succeeded 3: undone",
            ]
        );
    });
}

#[test]
fn an_undo_that_cannot_be_done_is_reported_and_stops_no_other() {
    paused(async {
        let lab = Lab::new();
        let log = Log::default();
        let mut p = Pipeline::builder("three");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok(1_u64)).undo(written(&log)).after(n);
        let stuck = async |_cx, _: Given<u64>| Err(Stop::fail("the bank is closed"));
        let b = p.stage("b", script::ok(2_u64)).undo(stuck).after(a);
        let c = p.stage("c", script::ok(3_u64)).undo(written(&log)).after(b);
        let d = p.stage("d", script::fail::<Arc<u64>, u64>("no")).after(c);
        let pipeline = p.output(d).build().unwrap();
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert_eq!(log.lines(), ["c 3", "a 1"]);
        assert_eq!(
            undos(&report),
            [
                "c succeeded 1",
                "b failed 3: the bank is closed",
                "a succeeded 1"
            ]
        );
        assert!(!report.is_undone());
        assert_eq!(texts(report.not_undone()), ["b"]);
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(report.error().unwrap().stage().as_str(), "d");
        let error = report.output().unwrap_err();
        assert_eq!(
            error.to_string(),
            "SF0401: pipeline `three` failed: SF0301: stage `d` failed: no; fix the cause, or make the stage `.optional()`; not undone: `b` (see `undos()` of the report)"
        );
        assert_eq!(texts(error.stages_not_undone()), ["b"]);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn constant_delays_and_the_number_of_attempts_are_kept() {
    paused(async {
        let lab = Lab::new();
        let policy = UndoPolicy::new()
            .attempts(NonZeroU32::new(5).unwrap())
            .constant(50.millis());
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let started = Instant::now();
        let report = failing_after(&lab, policy, move |_cx, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            ready(Err(Stop::fail("no")))
        })
        .await;
        assert_eq!(calls.load(Ordering::Relaxed), 5);
        assert_eq!(undos(&report), ["a failed 5: no"]);
        assert_eq!(started.elapsed(), 200.millis());
    });
}

#[test]
fn an_undo_may_ask_to_be_called_later() {
    paused(async {
        let lab = Lab::new();
        let started = Instant::now();
        let report = failing_after(&lab, UndoPolicy::new(), |cx: UndoCx, _| {
            ready(match cx.attempt().get() {
                1 => Err(Stop::retry_after(3.secs(), "busy")),
                _ => Ok(()),
            })
        })
        .await;
        assert_eq!(undos(&report), ["a succeeded 2"]);
        assert_eq!(started.elapsed(), 3.secs());
    });
}

#[tokio::test]
async fn an_undo_that_finds_nothing_to_undo_skips() {
    let lab = Lab::new();
    let report = failing_after(&lab, UndoPolicy::new(), |_cx, _| {
        ready(Err(Stop::skip("it was never charged")))
    })
    .await;
    assert_eq!(undos(&report), ["a skipped 1"]);
    assert!(report.is_undone());
}

#[test]
fn the_key_is_the_same_for_every_attempt_and_for_no_other_stage_or_run() {
    paused(async {
        let lab = Lab::new();
        let log = Log::default();
        let told = log.clone();
        let undo = move |cx: UndoCx, _: Given<u64>| {
            told.write(cx.key());
            ready(match cx.attempt().get() {
                1 => Err(Stop::fail("busy")),
                _ => Ok(()),
            })
        };
        let mut p = Pipeline::builder("two");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok(1_u64)).undo(undo.clone()).after(n);
        let b = p.stage("b", script::ok(1_u64)).undo(undo).after(a);
        let c = p.stage("c", script::fail::<Arc<u64>, u64>("no")).after(b);
        let pipeline = p.output(c).build().unwrap();
        let mut expected = Vec::new();
        for _ in 0..2 {
            let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
            for stage in ["b", "b", "a", "a"] {
                expected.push(format!("{}/{stage}", report.id()));
            }
        }
        assert_eq!(log.lines(), expected);
        assert_ne!(expected[0], expected[4]);
    });
}

#[test]
fn undos_run_one_at_a_time() {
    paused(async {
        let lab = Lab::new();
        let probe = lab.probe.clone();
        let undo = move |_cx: UndoCx, _: Given<u64>| {
            let probe = probe.clone();
            async move {
                let live = probe.enter();
                sleep(1.secs()).await;
                live.done();
                Ok(())
            }
        };
        let mut p = Pipeline::builder("wide");
        let n = p.input::<u64>();
        let mut all = Vec::new();
        for stage in 0..8_u64 {
            let add = p
                .stage(format!("s{stage}"), script::ok(stage))
                .undo(undo.clone());
            all.push(add.after(n));
        }
        let no = p
            .stage("no", script::fail::<Vec<Arc<u64>>, u64>("no"))
            .after(all);
        let pipeline = p.output(no).build().unwrap();
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert_eq!(lab.probe.peak(), 1);
        assert_eq!(report.duration(), 8.secs());
        lab.sink.assert_sound(pipeline.plan());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_limit_of_nothing_is_refused_when_the_pipeline_is_built() {
    let mut p = Pipeline::builder("zero");
    let n = p.input::<u64>();
    let policy = UndoPolicy::new().attempt_timeout(Duration::ZERO);
    let log = Log::default();
    let a = p
        .stage("a", script::ok(1_u64))
        .undo_with(policy, written(&log))
        .after(n);
    let error = p.output(a).build().unwrap_err();
    assert_eq!(error.problems()[0].code(), "SF0112", "{error}");
}
