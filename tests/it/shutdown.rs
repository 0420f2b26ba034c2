//! The end of an engine.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use stageflow::context::CancelReason;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, paused, script};
use tokio::runtime::Handle as Runtime;
use tokio::time::{Instant, sleep};

use crate::support::{Lab, OpenInTheEnd, PLACEMENTS, alone, placed, texts, watched};

/// A pipeline whose stage, `a`, registers a cleanup and waits at the gate.
fn waits(lab: &Lab, gate: &Gate, placement: Placement) -> Pipeline<u64, u64> {
    let (tidying, gate) = (lab.tidying.clone(), gate.clone());
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        let (tidying, gate) = (tidying.clone(), gate.clone());
        async move {
            tidying.add(&cx, "a");
            gate.passed().await;
            Ok(*n)
        }
    });
    alone(a, placement)
}

#[test]
fn every_run_is_told_and_waited_for_and_cleans_up() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            for placement in PLACEMENTS {
                let (lab, gate) = (Lab::new(), Gate::new());
                let pipeline = waits(&lab, &gate, placement);
                let runs: Vec<_> = (0..20)
                    .map(|_| {
                        let (engine, pipeline) = (lab.engine.clone(), pipeline.clone());
                        Runtime::current()
                            .spawn(async move { engine.run(&pipeline, 1, RunOptions::new()).await })
                    })
                    .collect();
                gate.crowd(20).await;
                let shutdown = lab.engine.shutdown(30.secs()).await;
                assert!(shutdown.is_clean(), "{shutdown}");
                // On another thread the last one may not have suspended yet: it is told when it does.
                let least = if flavour == Flavour::CurrentThread {
                    20
                } else {
                    16
                };
                assert!((least..=20).contains(&shutdown.told), "{shutdown}");
                if flavour == Flavour::CurrentThread {
                    assert_eq!(lab.tidying.ran().len(), 20, "at once, not later");
                }
                for run in runs {
                    let report = run.await.unwrap();
                    assert_eq!(report.outcome(), Outcome::Cancelled);
                    assert_eq!(report.cancel_reason(), Some(&CancelReason::Shutdown));
                }
                lab.assert_nothing_left().await;
            }
        });
    }
}

#[tokio::test]
async fn a_run_that_comes_later_ends_as_cancelled_and_starts_nothing() {
    let (lab, gate) = (Lab::new(), Gate::new());
    let pipeline = waits(&lab, &gate, Placement::Inline);
    assert!(lab.engine.shutdown(Duration::ZERO).await.is_clean());
    let report = lab
        .engine
        .clone()
        .run(&pipeline, 1, RunOptions::new())
        .await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(report.cancel_reason(), Some(&CancelReason::Shutdown));
    assert_eq!(lab.probe.calls(), 0);
    assert_eq!(
        lab.assert_nothing_left().await,
        ["run started", "run cancelled: the engine is shutting down"]
    );
}

#[test]
fn what_has_not_ended_in_time_is_named() {
    let (hold, inside) = (Gate::new(), Gate::new());
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let _open = OpenInTheEnd(&hold);
    runtime.block_on(async {
        let lab = Lab::new();
        // One holds its thread, and one is polled by nobody.
        let mut p = Pipeline::builder("stubborn");
        let n = p.input::<u64>();
        let ends = p.stage("ends", script::ok(1_u64)).after(n);
        let (enter, holds) = (inside.clone(), hold.clone());
        let a = watched(&lab.probe, move |_cx, n: Arc<u64>| {
            enter.open();
            holds.hold_thread();
            async move { Ok(*n) }
        });
        let a = placed(p.stage("holds", a), Placement::Blocking).after(ends);
        // This one is stopped in time, so it is not named.
        let other = p
            .stage("other", script::hang::<Arc<u64>, u64>())
            .spawn()
            .after(n);
        let sum = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
        let sum = p.stage("sum", sum).after((a, other));
        let stubborn = p.output(sum).build().unwrap();
        let (engine, pipeline) = (lab.engine.clone(), stubborn.clone());
        let running = Runtime::current()
            .spawn(async move { engine.run(&pipeline, 1, RunOptions::new()).await });
        inside.passed().await;
        let gate = Gate::new();
        let waiting = waits(&lab, &gate, Placement::Inline);
        let mut nobody = Box::pin(lab.engine.run(&waiting, 1, RunOptions::new()));
        assert!(poll!(&mut nobody).is_pending());

        let shutdown = lab.engine.shutdown(100.millis()).await;
        assert!(!shutdown.is_clean());
        assert_eq!(shutdown.told, 2);
        let mut named: Vec<_> = shutdown
            .abandoned
            .iter()
            .map(|run| (&*run.pipeline, texts(&run.stages)))
            .collect();
        named.sort();
        assert_eq!(
            named,
            [("alone", vec![]), ("stubborn", vec!["holds".to_owned()])]
        );
        assert!(shutdown.abandoned.iter().any(|run| run.run == nobody.id()));
        let text = shutdown.to_string();
        assert!(
            text.starts_with("told 2 to stop; not ended in time:\n  run_")
                && text.contains(" of pipeline `stubborn`, in stage `holds`"),
            "{text}"
        );

        hold.open();
        assert_eq!(running.await.unwrap().outcome(), Outcome::Cancelled);
        let again = lab.engine.shutdown(1.millis()).await;
        assert_eq!((again.told, again.abandoned.len()), (0, 1));
        assert_eq!(nobody.await.outcome(), Outcome::Cancelled);
        assert!(lab.engine.shutdown(30.secs()).await.is_clean());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn every_call_waits_for_the_same_end() {
    paused(async {
        let lab = Lab::new();
        let a = stage_fn(async |cx: StageCx, _: Arc<u64>| {
            cx.on_cleanup("slow", || sleep(3.secs()));
            std::future::pending::<Result<u64, Stop>>().await
        });
        let pipeline = alone(a, Placement::Inline);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let started = Instant::now();
        let calls = async {
            tokio::task::yield_now().await;
            let calls = futures_util::future::join_all([10, 5, 1].map(|secs| {
                let engine = lab.engine.clone();
                async move {
                    let shutdown = engine.shutdown(Duration::from_secs(secs)).await;
                    (shutdown.is_clean(), started.elapsed())
                }
            }));
            calls.await
        };
        let (report, calls) = tokio::join!(run, calls);
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(
            calls,
            [(true, 3.secs()), (true, 3.secs()), (false, 1.secs())]
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_child_is_told_by_its_parent() {
    paused(async {
        let (lab, gate) = (Lab::new(), Gate::new());
        let child = waits(&lab, &gate, Placement::Inline);
        let parent = alone(sub(&child), Placement::Spawn);
        let run = lab.engine.run(&parent, 1, RunOptions::new());
        let end = async {
            gate.crowd(1).await;
            lab.engine.shutdown(1.secs()).await
        };
        let (report, shutdown) = tokio::join!(run, end);
        assert!(shutdown.is_clean() && shutdown.told == 1, "{shutdown}");
        assert_eq!(report.cancel_reason(), Some(&CancelReason::Shutdown));
        let events = lab.assert_nothing_left().await;
        let told =
            "run cancelled: the run that started it was stopped: the engine is shutting down";
        assert!(events.iter().any(|event| event == told), "{events:?}");
    });
}

#[test]
fn a_run_that_was_dropped_before_is_waited_for_too() {
    paused(async {
        let lab = Lab::new();
        let tidying = lab.tidying.clone();
        let a = stage_fn(move |cx: StageCx, _: Arc<u64>| {
            tidying.add_with(&cx, "slow", || sleep(3.secs()));
            std::future::pending::<Result<u64, Stop>>()
        });
        let pipeline = alone(a, Placement::Inline);
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert!(poll!(&mut run).is_pending());
        drop(run);
        let started = Instant::now();
        let short = lab.engine.shutdown(1.secs()).await;
        assert_eq!(short.abandoned.len(), 1, "{short}");
        assert!(
            short.abandoned[0].stages.is_empty(),
            "only a cleanup is left"
        );
        assert!(lab.engine.shutdown(5.secs()).await.is_clean());
        assert_eq!(started.elapsed(), 3.secs());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_run_that_has_not_suspended_when_the_engine_closes_is_told_when_it_does() {
    paused(async {
        let lab = Lab::new();
        let engine = lab.engine.clone();
        let a = watched(&lab.probe, move |_cx, _: Arc<u64>| {
            let engine = engine.clone();
            async move {
                assert_eq!(engine.shutdown(Duration::ZERO).await.told, 0);
                std::future::pending::<Result<u64, Stop>>().await
            }
        });
        let pipeline = alone(a, Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.cancel_reason(), Some(&CancelReason::Shutdown));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn runs_that_suspend_while_the_engine_closes_are_told_as_well() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        for _ in 0..200 {
            let (lab, gate) = (Lab::new(), Gate::new());
            let pipeline = waits(&lab, &gate, Placement::Inline);
            let runs: Vec<_> = (0..4)
                .map(|_| {
                    let (engine, pipeline) = (lab.engine.clone(), pipeline.clone());
                    Runtime::current()
                        .spawn(async move { engine.run(&pipeline, 1, RunOptions::new()).await })
                })
                .collect();
            // In the middle of their start, wherever that is.
            lab.engine.shutdown(30.secs()).await;
            for run in runs {
                let report = run.await.unwrap();
                assert_eq!(report.cancel_reason(), Some(&CancelReason::Shutdown));
            }
            assert_eq!(lab.tidying.ran().len(), lab.tidying.registered().len());
        }
    });
}
