//! Cancellation as stages see it, and as they ask for it.

use std::sync::Arc;

use serde_json::json;
use stageflow::context::CancelReason;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};

use crate::support::{Lab, outcomes, wake_myself, watched};

#[tokio::test]
async fn a_stage_cancels_its_run_gracefully() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("asked");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    let hang = p
        .stage(
            "hang",
            script::hang::<Arc<u64>, u64>().watched_by(&lab.probe),
        )
        .after(n);
    let b = p
        .stage("b", script::cancel::<Arc<u64>, u64>("the user left"))
        .optional()
        .after(a);
    let c = p
        .stage("c", script::ok::<(Arc<Option<u64>>, Arc<u64>), u64>(2))
        .after((b, hang));
    let pipeline = p.output(c).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        report.outcome(),
        Outcome::Cancelled,
        "also if the stage is optional"
    );
    assert!(
        report.error().is_none() && report.errors().is_empty(),
        "neither an error"
    );
    assert!(!report.is_success(), "nor a success");
    assert_eq!(report.value(a).as_deref(), Some(&1));
    assert_eq!(
        outcomes(&report),
        [
            "a succeeded",
            "hang cancelled",
            "b cancelled",
            "c cancelled"
        ]
    );
    assert_eq!(
        report.cancel_reason().unwrap().to_string(),
        "stage `b` asked to cancel the run: the user left"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn of_two_stages_that_end_the_run_the_first_decides() {
    type Make = fn() -> Stop;
    let (fails, cancels): (Make, Make) = (|| Stop::fail("bad luck"), || Stop::cancel("enough"));
    for (first, second, expected) in [
        (fails, cancels, Outcome::Failed),
        (cancels, fails, Outcome::Cancelled),
    ] {
        let lab = Lab::new();
        let mut p = Pipeline::builder("both");
        let n = p.input::<u64>();
        // Both are ready again at once, in the order in which they started.
        let stops = |with: Make| {
            watched(&lab.probe, move |_cx, _: Arc<u64>| async move {
                wake_myself().await;
                Err::<u64, _>(with())
            })
        };
        let a = p.stage("a", stops(first)).after(n);
        let b = p.stage("b", stops(second)).after(n);
        let c = p
            .stage("c", script::ok::<(Arc<u64>, Arc<u64>), u64>(0))
            .after((a, b));
        let pipeline = p.output(c).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), expected);
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_blocking_stage_notices_at_its_checkpoint() {
    let lab = Lab::new();
    let inside = Gate::new();
    let mut p = Pipeline::builder("checkpoint");
    let n = p.input::<u64>();
    let enter = inside.clone();
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        enter.open();
        let result = loop {
            if let Err(stop) = cx.check() {
                break Err(stop);
            }
            std::thread::yield_now();
        };
        let (told, is_told) = (cx.cancel_reason().cloned(), cx.is_cancelled());
        cx.record("told", (told, is_told)).unwrap();
        async move { result.map(|()| *n) }
    });
    let a = p.stage("a", a).blocking().after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let handle = run.handle();
    let cancel = async {
        inside.passed().await;
        handle.cancel("enough");
    };
    let (report, ()) = tokio::join!(run, cancel);
    assert_eq!(outcomes(&report), ["a cancelled"]);
    let told = report
        .recorded()
        .unwrap()
        .get::<(Option<CancelReason>, bool)>("told")
        .unwrap()
        .unwrap();
    assert_eq!(*told, (Some(CancelReason::requested("enough")), true));
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_that_says_it_was_interrupted_without_reason_ends_the_run_as_cancelled() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("confused");
    let n = p.input::<u64>();
    let stop = |_cx: StageCx, _: Arc<u64>| async move {
        Err::<u64, _>(Stop::from(stageflow::context::StopKind::Interrupted(
            CancelReason::Shutdown,
        )))
    };
    let a = p.stage("a", stage_fn(stop)).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert!(
        report
            .cancel_reason()
            .unwrap()
            .to_string()
            .contains("as if the run had been cancelled")
    );
    lab.assert_nothing_left().await;
}

#[test]
fn work_that_a_stage_handed_out_hears_of_the_cancellation() {
    paused(async {
        let lab = Lab::new();
        let gate = Gate::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let mut p = Pipeline::builder("handed-out");
        let n = p.input::<u64>();
        let wait = gate.clone();
        let a = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
            // The context leaves the stage; what it is handed to outlives the stage.
            tell.lock().unwrap().take().unwrap().send(cx).unwrap();
            let wait = wait.clone();
            async move {
                wait.passed().await;
                Ok(0_u64)
            }
        });
        let a = p.stage("a", a).after(n);
        let pipeline = p.output(a).build().unwrap();
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let outside = async {
            let cx: StageCx = told.await.unwrap();
            assert!(!cx.is_cancelled());
            handle.cancel("enough");
            cx.cancelled().await;
            assert_eq!(cx.cancel_reason(), Some(&CancelReason::requested("enough")));
            cx
        };
        let (report, cx) = tokio::join!(run, outside);
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(
            cx.try_emit("too.late", json!(1)).unwrap_err().code(),
            "SF0215"
        );
        lab.assert_nothing_left().await;
    });
}
