//! Cancelling a run from outside: when, how often, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::poll;
use stageflow::context::CancelReason;
use stageflow::executor::RunErrorKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, script};

use crate::support::{Lab, PLACEMENTS, outcomes, placed, watched};

/// One stage that waits at a gate after it has registered a cleanup, and one after it.
fn gated(lab: &Lab, gate: &Gate, placement: Placement) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("gated");
    let n = p.input::<u64>();
    let (tidying, gate) = (lab.tidying.clone(), gate.clone());
    let wait = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, "wait");
        let gate = gate.clone();
        async move {
            gate.passed().await;
            Ok(*n)
        }
    });
    let wait = placed(p.stage("wait", wait), placement).after(n);
    let next = p
        .stage("next", watched(&lab.probe, async |_cx, n: Arc<u64>| Ok(*n)))
        .after(wait);
    p.output(next).build().unwrap()
}

#[tokio::test]
async fn a_run_cancelled_before_it_is_polled_starts_nothing() {
    let lab = Lab::new();
    let pipeline = gated(&lab, &Gate::new(), Placement::Inline);
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let handle = run.handle();
    assert_eq!(handle.id(), run.id());
    assert_eq!(handle.cancel_reason(), None);
    assert!(handle.cancel("changed my mind"));
    let report = run.await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(outcomes(&report), ["wait cancelled", "next cancelled"]);
    assert!(
        report
            .stages()
            .all(|stage| stage.started().is_none() && stage.attempts() == 0)
    );
    assert_eq!(lab.probe.calls(), 0);
    assert_eq!(
        lab.assert_nothing_left().await,
        ["run started", "run cancelled: cancelled: changed my mind"]
    );
}

#[test]
fn the_first_reason_is_kept() {
    TestRuntime::running(Flavour::CurrentThread).block_on(async {
    for placement in PLACEMENTS {
        let lab = Lab::new();
        let gate = Gate::new();
        let pipeline = gated(&lab, &gate, placement);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let cancel = async {
            gate.crowd(1).await;
            assert!(handle.cancel("first"));
            assert!(
                !handle.clone().cancel("second"),
                "it was told to stop already"
            );
        };
        let (report, ()) = tokio::join!(run, cancel);
        assert_eq!(
            report.cancel_reason(),
            Some(&CancelReason::requested("first"))
        );
        assert_eq!(handle.cancel_reason().as_ref(), report.cancel_reason());
        let error = report.output().unwrap_err();
        assert!(
            matches!(error.kind(), RunErrorKind::Cancelled(reason) if reason == &CancelReason::requested("first"))
        );
        let said = lab.assert_nothing_left().await;
        assert_eq!(said.last().unwrap(), "run cancelled: cancelled: first");
    }
});
}

#[test]
fn a_run_is_cancelled_from_another_thread_on_every_runtime() {
    for flavour in Flavour::ALL {
        let runtime = TestRuntime::running(flavour);
        for placement in PLACEMENTS {
            let gate = Gate::new();
            runtime.block_on(async {
                let lab = Lab::new();
                let pipeline = gated(&lab, &gate, placement);
                let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
                assert!(poll!(&mut run).is_pending());
                gate.crowd(1).await;
                let handle = run.handle();
                std::thread::scope(|threads| {
                    threads.spawn(|| assert!(handle.cancel("from afar")));
                });
                let report = run.await;
                assert_eq!(
                    report.outcome(),
                    Outcome::Cancelled,
                    "{flavour}, {placement:?}"
                );
                lab.assert_nothing_left().await;
            });
        }
    }
}

#[test]
fn of_a_hundred_that_cancel_at_once_one_is_first_and_everybody_agrees_who() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    runtime.block_on(async {
        let lab = Lab::new();
        let gate = Gate::new();
        let pipeline = gated(&lab, &gate, Placement::Inline);
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert!(poll!(&mut run).is_pending());
        let handle = run.handle();
        let first = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for caller in 0..100 {
                let (handle, first) = (&handle, &first);
                threads.spawn(move || {
                    if handle.cancel(format!("caller {caller}")) {
                        first.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let report = run.await;
        assert_eq!(first.load(Ordering::SeqCst), 1);
        let reason = report.cancel_reason().unwrap().to_string();
        assert!(reason.starts_with("cancelled: caller "), "{reason}");
        assert_eq!(handle.cancel_reason().unwrap().to_string(), reason);
        assert_eq!(
            *lab.assert_nothing_left().await.last().unwrap(),
            format!("run cancelled: {reason}")
        );
    });
}

#[tokio::test]
async fn cancelling_a_run_that_has_ended_changes_nothing() {
    let lab = Lab::new();
    let gate = Gate::new();
    gate.open();
    let pipeline = gated(&lab, &gate, Placement::Inline);
    let run = lab.engine.run(&pipeline, 7, RunOptions::new());
    let handle = run.handle();
    let report = run.await;
    handle.cancel("too late");
    assert_eq!(
        (report.outcome(), report.cancel_reason()),
        (Outcome::Succeeded, None)
    );
    assert_eq!(report.output().unwrap(), &7);
    assert_eq!(
        lab.assert_nothing_left().await.last().unwrap(),
        "run succeeded"
    );
}

#[tokio::test]
async fn cancelling_during_the_cleanups_keeps_what_the_stages_gave() {
    let lab = Lab::new();
    let gate = Gate::new();
    let mut p = Pipeline::builder("cleaning");
    let n = p.input::<u64>();
    let (tidying, wait) = (lab.tidying.clone(), gate.clone());
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        let wait = wait.clone();
        tidying.add_with(&cx, "a", async move || wait.passed().await);
        async move { Ok(*n) }
    });
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab.engine.run(&pipeline, 7, RunOptions::new());
    let handle = run.handle();
    let cancel = async {
        gate.crowd(1).await;
        handle.cancel("in the middle of it");
        gate.open();
    };
    let (report, ()) = tokio::join!(run, cancel);
    assert_eq!(
        (report.output().unwrap(), report.cancel_reason()),
        (&7, None)
    );
    assert_eq!(
        lab.assert_nothing_left().await.last().unwrap(),
        "run succeeded"
    );
}

#[tokio::test]
async fn a_cancelled_run_starts_no_further_stage_and_keeps_what_was_finished() {
    let lab = Lab::new();
    let gate = Gate::new();
    let mut p = Pipeline::builder("half-way");
    let n = p.input::<u64>();
    let done = p.stage("done", script::ok::<Arc<u64>, u64>(1)).after(n);
    let wait = p
        .stage("wait", script::ok(2).behind(&gate).watched_by(&lab.probe))
        .after(done);
    let next = p
        .stage(
            "next",
            script::ok::<Arc<i32>, u64>(3).watched_by(&lab.probe),
        )
        .after(wait);
    let pipeline = p.output(next).build().unwrap();
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let handle = run.handle();
    let cancel = async {
        gate.crowd(1).await;
        handle.cancel("enough");
        // The stage could go on now; it must not be asked.
        gate.open();
    };
    let (report, ()) = tokio::join!(run, cancel);
    assert_eq!(
        outcomes(&report),
        ["done succeeded", "wait cancelled", "next cancelled"]
    );
    assert_eq!(
        (report.value(done).as_deref(), report.value(wait)),
        (Some(&1), None)
    );
    assert_eq!(lab.probe.calls(), 1);
    lab.assert_nothing_left().await;
}
