//! What the ending of a run is for the stage that started it.

use std::sync::Arc;

use stageflow::context::{CancelReason, StageErrorKind};
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Flow};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use crate::children::of;
use crate::support::{Lab, alone, outcomes, placed};

/// Denies the stage called `s`.
struct Closed;

impl Hook for Closed {
    fn name(&self) -> &str {
        "policy"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        match call.stage().as_str() {
            "s" => Flow::Deny(call.denied("policy", "closed")),
            _ => Flow::Continue,
        }
    }
}

/// The run of a pipeline whose one stage, `a`, runs a child whose one stage, `s`, does this.
fn ends_like(stage: Scripted<Arc<u64>, u64>) -> RunReport<u64> {
    let (engine, child) = (Engine::new(), of("child", stage));
    let parent = alone(sub(&child), Placement::Inline);
    paused(async { engine.run(&parent, 1, RunOptions::new()).await })
}

#[test]
fn a_child_that_fails_fails_its_stage_and_keeps_the_class() {
    for (stage, class) in [
        (script::fail("bad luck"), ErrorClass::Permanent),
        (script::transient("busy"), ErrorClass::Transient),
        (script::panic("oh"), ErrorClass::Permanent),
        (script::retry("later"), ErrorClass::Transient),
    ] {
        let report = ends_like(stage);
        assert_eq!(report.outcome(), Outcome::Failed);
        let error = report.error().unwrap();
        assert_eq!(error.kind(), &StageErrorKind::Failed(class));
        let cause = std::error::Error::source(error).unwrap();
        let cause = cause
            .downcast_ref::<stageflow::executor::RunError>()
            .unwrap();
        assert_eq!(cause.code(), "SF0401");
        assert!(
            error.to_string().contains("stage `a` failed")
                && error.to_string().contains("pipeline `child` failed: ")
                && error.to_string().contains("stage `s`"),
            "{error}"
        );
    }
}

#[test]
fn a_child_that_skips_skips_its_stage_with_the_same_reason() {
    let report = ends_like(script::skip("no documents"));
    assert_eq!(report.outcome(), Outcome::Skipped);
    assert_eq!(
        report.stage("a").unwrap().skip_reason(),
        Some("no documents")
    );
}

#[test]
fn a_child_that_cancels_itself_cancels_its_parent_with_the_same_reason() {
    let report = ends_like(script::cancel("the user left"));
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(
        report.cancel_reason().unwrap().to_string(),
        "stage `a` asked to cancel the run: the user left"
    );
    assert!(report.errors().is_empty());
}

#[tokio::test]
async fn a_child_that_is_denied_denies_its_stage() {
    let engine = Engine::builder().intercept(Closed).build();
    let parent = alone(
        sub(&of("child", script::ok::<Arc<u64>, u64>(1))),
        Placement::Inline,
    );
    let report = engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Denied);
    let error = report.error().unwrap();
    assert_eq!(error.kind(), &StageErrorKind::Denied);
    assert_eq!(error.stage().as_str(), "a");
    assert!(error.to_string().contains("policy"), "{error}");
}

#[test]
fn a_child_that_takes_longer_than_its_own_deadline_times_its_stage_out() {
    paused(async {
        let lab = Lab::new();
        let child = of("child", script::hang::<Arc<u64>, u64>());
        let parent = alone(sub(&child).deadline(3.secs()), Placement::Inline);
        let report = lab
            .engine
            .run(&parent, 1, RunOptions::new().deadline(10.secs()))
            .await;
        let error = report.error().unwrap();
        assert_eq!(error.kind(), &StageErrorKind::TimedOut(3.secs()));
        assert_eq!(error.class(), ErrorClass::Transient);
        assert_eq!(outcomes(&report), ["a timed_out"]);
        assert_eq!(report.duration(), 3.secs());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn the_deadline_of_the_parent_holds_for_the_child_and_ends_the_parent() {
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            let lab = Lab::new();
            let child = of(
                "child",
                stage_fn(async |cx: StageCx, _: Arc<u64>| {
                    assert_eq!(cx.remaining(), Some(1.secs()));
                    std::future::pending::<Result<u64, Stop>>().await
                }),
            );
            let late = sub(&child).deadline(60.secs());
            let mut p = Pipeline::builder("parent");
            let n = p.input::<u64>();
            let wait = p.stage("wait", script::ok(1_u64).taking(2.secs())).after(n);
            // With grace, so that it could tell what became of the child.
            let late = placed(p.stage("late", late), placement).grace(1.secs());
            let late = late.after(wait);
            let parent = p.output(late).build().unwrap();
            let options = RunOptions::new().deadline(3.secs());
            let report = lab.engine.run(&parent, 1, options).await;
            assert_eq!(report.outcome(), Outcome::TimedOut);
            assert_eq!(report.duration(), 3.secs());
            assert!(report.errors().is_empty(), "{:?}", report.errors());
            let events = lab.assert_nothing_left().await;
            let told =
                "run cancelled: the run that started it was stopped: the run took longer than 3s";
            assert!(events.iter().any(|event| event == told), "{events:?}");
        }
    });
}

#[tokio::test]
async fn with_the_report_a_stage_decides_itself_what_an_ending_means() {
    let child = of("child", script::fail::<Arc<u64>, u64>("bad luck"));
    let decides = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = child.clone();
        async move {
            let report = cx.run(&child, n).report().await?;
            Ok(report.outcome())
        }
    });
    let report = Engine::new()
        .run(&of("parent", decides), 1, RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), &Outcome::Failed);
}
#[tokio::test]
async fn a_child_of_a_run_that_was_told_to_stop_starts_nothing() {
    let lab = Lab::new();
    let child = of(
        "child",
        script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe),
    );
    let parent = of(
        "parent",
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let child = child.clone();
            async move {
                cx.host().cancel().cancel(CancelReason::requested("enough"));
                let report = cx.run(&child, n).report().await?;
                let told = CancelReason::ParentStopped(Arc::new(CancelReason::requested("enough")));
                assert_eq!(report.cancel_reason(), Some(&told));
                report.into_output().map(|n| *n).transient()
            }
        }),
    );
    let report = lab.engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(
        (report.outcome(), lab.probe.calls()),
        (Outcome::Cancelled, 0)
    );
    lab.assert_nothing_left().await;
}
