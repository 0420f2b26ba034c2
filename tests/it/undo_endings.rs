//! After which endings of a run what its stages did is undone.

use std::sync::Arc;

use futures_util::poll;
use stageflow::interceptors::{Call, Flow};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};

use crate::support::{Lab, Log};
use crate::undo::{chain, undos, written};

/// Refuses the stage called `last`.
struct NotTheLast;

impl Hook for NotTheLast {
    fn name(&self) -> &str {
        "not-the-last"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if call.stage().as_str() == "last" {
            return Flow::Deny(call.denied("not-the-last", "no"));
        }
        Flow::Pass
    }
}

/// Runs `a`, `b` and then `last`, and says how it ended and what was undone.
async fn ends(
    lab: &Lab,
    last: impl Stage<Input = Arc<u64>, Output = u64>,
    options: RunOptions,
) -> (Outcome, Vec<String>) {
    let log = Log::default();
    let pipeline = chain(&log, &["a", "b"], last);
    let report = lab.engine.run(&pipeline, 0, options).await;
    lab.sink.assert_sound(pipeline.plan());
    lab.sink.clear();
    (report.outcome(), log.lines())
}

#[test]
fn every_ending_but_success_and_a_skip_undoes_what_was_done() {
    paused(async {
        let lab = Lab::new();
        let (done, nothing) = (vec!["b 2".to_owned(), "a 1".to_owned()], Vec::new());
        let now = RunOptions::new;
        let failed = ends(&lab, script::fail("no"), now()).await;
        assert_eq!(failed, (Outcome::Failed, done.clone()));
        let panicked = ends(&lab, script::panic("oh"), now()).await;
        assert_eq!(panicked, (Outcome::Failed, done.clone()));
        let late = ends(&lab, script::hang(), now().deadline(5.secs())).await;
        assert_eq!(late, (Outcome::TimedOut, done.clone()));
        let cancelled = ends(&lab, script::cancel("enough"), now()).await;
        assert_eq!(cancelled, (Outcome::Cancelled, done.clone()));
        let skipped = ends(&lab, script::skip("nothing to do"), now()).await;
        assert_eq!(skipped, (Outcome::Skipped, nothing.clone()));
        let succeeded = ends(&lab, script::ok(1), now()).await;
        assert_eq!(succeeded, (Outcome::Succeeded, nothing));
        let lab = Lab::with(|builder| builder.intercept(NotTheLast));
        let denied = ends(&lab, script::ok(1), now()).await;
        assert_eq!(denied, (Outcome::Denied, done));
    });
}

#[test]
fn what_a_cancelled_run_did_can_be_left_as_it_is() {
    paused(async {
        let lab = Lab::with(|builder| builder.undo_after(UndoAfter::Failure));
        let (done, nothing) = (vec!["b 2".to_owned(), "a 1".to_owned()], Vec::new());
        let now = RunOptions::new;
        let cancelled = ends(&lab, script::cancel("enough"), now()).await;
        assert_eq!(cancelled, (Outcome::Cancelled, nothing));
        let failed = ends(&lab, script::fail("no"), now()).await;
        assert_eq!(failed, (Outcome::Failed, done.clone()));
        let late = ends(&lab, script::hang(), now().deadline(5.secs())).await;
        assert_eq!(late, (Outcome::TimedOut, done.clone()));
        let overruled = now().undo_after(UndoAfter::AnyStop);
        let cancelled = ends(&lab, script::cancel("enough"), overruled).await;
        assert_eq!(cancelled, (Outcome::Cancelled, done));
    });
}

#[tokio::test]
async fn a_run_cancelled_from_outside_and_one_shut_down_undo_what_they_did() {
    for by_shutdown in [false, true] {
        let lab = Lab::new();
        let (log, reached) = (Log::default(), Gate::new());
        let waits = script::ok(0).behind(&reached);
        let pipeline = chain(&log, &["a", "b"], waits);
        let run = lab.engine.run(&pipeline, 0, RunOptions::new());
        let handle = run.handle();
        let stop = async {
            reached.crowd(1).await;
            if by_shutdown {
                assert!(lab.engine.shutdown(30.secs()).await.is_clean());
            } else {
                handle.cancel("enough");
            }
        };
        let (report, ()) = tokio::join!(run, stop);
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(log.lines(), ["b 2", "a 1"]);
        lab.sink.assert_sound(pipeline.plan());
    }
}

#[tokio::test]
async fn a_dropped_run_undoes_what_it_did_and_then_cleans_up() {
    let lab = Lab::new();
    let (log, reached) = (Log::default(), Gate::new());
    let (tidying, gate) = (lab.tidying.clone(), reached.clone());
    let last = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        tidying.add(&cx, "tidy");
        let gate = gate.clone();
        async move {
            gate.passed().await;
            Ok(0)
        }
    });
    let pipeline = chain(&log, &["a", "b"], last);
    let mut run = Box::pin(lab.engine.run(&pipeline, 0, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    drop(run);
    lab.engine.settled().await;
    assert_eq!(log.lines(), ["b 2", "a 1"]);
    lab.sink.assert_sound(pipeline.plan());
    let told = lab.assert_nothing_left().await;
    assert_eq!(
        told[told.len() - 6..],
        [
            "undo b started 1",
            "undo b succeeded 1: undone",
            "undo a started 1",
            "undo a succeeded 1: undone",
            "cleanup tidy succeeded",
            "run cancelled: the caller went away",
        ]
    );
}

#[tokio::test]
async fn a_dropped_run_with_nothing_else_to_do_undoes_what_it_did() {
    let lab = Lab::new();
    let (log, reached) = (Log::default(), Gate::new());
    let pipeline = chain(&log, &["a", "b"], script::ok(0).behind(&reached));
    let mut run = Box::pin(lab.engine.run(&pipeline, 0, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    drop(run);
    lab.engine.settled().await;
    assert_eq!(log.lines(), ["b 2", "a 1"]);
    lab.sink.assert_sound(pipeline.plan());
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_run_dropped_while_it_undoes_goes_on_undoing() {
    let lab = Lab::new();
    let (log, gate) = (Log::default(), Gate::new());
    let (told, held) = (log.clone(), gate.clone());
    let undo = move |cx: UndoCx, _: Given<u64>| {
        let (told, held) = (told.clone(), held.clone());
        async move {
            held.passed().await;
            told.write(cx.stage().as_str());
            Ok(())
        }
    };
    let mut p = Pipeline::builder("two");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok(1_u64)).undo(undo).after(n);
    let b = p.stage("b", script::fail::<Arc<u64>, u64>("no")).after(a);
    let pipeline = p.output(b).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 0, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    drop(run);
    assert!(log.lines().is_empty());
    gate.open();
    lab.engine.settled().await;
    assert_eq!(log.lines(), ["a"]);
    lab.sink.assert_sound(pipeline.plan());
}

#[test]
fn an_undo_is_neither_stopped_with_its_run_nor_bound_by_its_deadline() {
    paused(async {
        let lab = Lab::new();
        let mut p = Pipeline::builder("late");
        let n = p.input::<u64>();
        let slow = async |cx: UndoCx, _: Given<u64>| {
            assert!(cx.reason().is_some());
            tokio::time::sleep(4.secs()).await;
            Ok(())
        };
        let a = p.stage("a", script::ok(1_u64)).undo(slow).after(n);
        let b = p.stage("b", script::hang::<Arc<u64>, u64>()).after(a);
        let pipeline = p.output(b).build().unwrap();
        let options = RunOptions::new().deadline(1.secs());
        let report = lab.engine.run(&pipeline, 0, options).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(undos(&report), ["a succeeded 1"]);
        assert_eq!(report.duration(), 5.secs());
    });
}

#[test]
fn what_ends_well_while_the_run_goes_on_without_a_failed_stage_is_undone_too() {
    paused(async {
        let lab = Lab::new();
        let log = Log::default();
        let mut p = Pipeline::builder("apart");
        let n = p.input::<u64>();
        let bad = p.stage("bad", script::fail::<Arc<u64>, u64>("no")).after(n);
        let slow = script::ok(2_u64).taking(3.secs());
        let slow = p.stage("slow", slow).undo(written(&log)).after(n);
        let both = script::ok::<(Arc<u64>, Arc<u64>), u64>(0);
        let both = p.stage("both", both).after((bad, slow));
        let pipeline = p.output(both).build().unwrap();
        let options = RunOptions::new().on_failure(FailurePolicy::ContinueIndependent);
        let report = lab.engine.run(&pipeline, 0, options).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(log.lines(), ["slow 2"]);
        lab.sink.assert_sound(pipeline.plan());
    });
}
