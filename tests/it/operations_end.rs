//! Calls to models, tools and stores that are stopped, given up, left behind, or come late.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::context::{OperationCx, PartLimits, Step};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused};
use tokio::sync::oneshot;

use crate::operations::{model, told, usage};
use crate::support::{Lab, PLACEMENTS, PassOn, alone, placed, with_time_running};

/// What ends while calls are on their way, and how the attempt ends then.
#[test]
fn a_call_that_is_stopped_ends_before_its_attempt() {
    for placement in PLACEMENTS {
        for waits in [false, true] {
            for (how, ended) in [("limit", "timed_out"), ("cancel", "cancelled")] {
                paused(stopped(placement, waits, how, ended));
            }
        }
    }
}

async fn stopped(placement: Placement, waits: bool, how: &str, ended: &str) {
    let lab = Lab::with(|engine| {
        if waits {
            engine.intercept(PassOn)
        } else {
            engine
        }
    });
    let gate = Gate::new();
    let called = gate.clone();
    let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let called = called.clone();
        async move {
            let tool = async |_| {
                called.passed().await;
                Ok::<u64, Stop>(1)
            };
            cx.operation(model(), async |op: OperationCx| {
                op.used(Usage::tokens(3, 4));
                op.operation(Operation::tool("t"), tool).await
            })
            .await
        }
    });
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let stage = placed(p.stage("a", stage), placement).timeout(Duration::from_secs(1));
    let a = stage.after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let handle = run.handle();
    tokio::select! {
        _ = &mut run => unreachable!("the gate is closed"),
        () = gate.crowd(1) => {}
    }
    match how {
        "cancel" => {
            handle.cancel("enough");
            run.await;
        }
        _ => drop(with_time_running(run).await),
    }
    let used: Vec<Usage> = lab.sink.all().iter().filter_map(usage).collect();
    assert_eq!(used, [Usage::tokens(0, 0), Usage::tokens(3, 4)]);
    let expected = [
        "a chat m started".to_owned(),
        "a 0>execute_tool t started".to_owned(),
        "a 0>execute_tool t cancelled".to_owned(),
        "a chat m cancelled".to_owned(),
        format!("a {ended} 1"),
    ];
    let lines = lab.events();
    assert_eq!(
        lines[2..lines.len() - 1],
        expected,
        "{placement:?}, waits {waits}, {how}"
    );
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_and_the_stage_goes_on() {
    let lab = Lab::new();
    let lines = told(&lab, Placement::Inline, |cx| async move {
        let (stays, _never) = oneshot::channel::<()>();
        let call = cx.operation(model(), async |_| {
            drop(stays);
            std::future::pending::<Result<u64, Stop>>().await
        });
        tokio::select! {
            biased;
            _ = call => unreachable!(),
            () = tokio::task::yield_now() => {}
        }
        // Never polled, it was never made.
        drop(cx.operation(model(), async |_| Ok::<u64, Stop>(1)));
        cx.emit("went.on", json!(null)).await?;
        Ok(1)
    });
    let expected = [
        "a chat m started",
        "a chat m cancelled",
        "a says went.on null",
        "a succeeded 1",
    ];
    assert_eq!(lines.await, expected);
}

/// A stage starts a call in a task of its own and does not wait for it.
#[tokio::test]
async fn what_a_stage_leaves_behind_is_cancelled_with_its_attempt_and_told_once() {
    for placement in PLACEMENTS {
        let lab = Lab::new();
        let (gate, done) = (Gate::new(), Gate::new());
        let stage = {
            let (gate, done) = (gate.clone(), done.clone());
            stage_fn(move |cx: StageCx, _: Arc<u64>| {
                let (gate, done) = (gate.clone(), done.clone());
                async move {
                    let (left, waits) = (cx.clone(), gate.clone());
                    drop(tokio::spawn(async move {
                        let call = left.operation(model(), async |op: OperationCx| {
                            let held = waits.passed();
                            let inner = op.operation(Operation::tool("t"), async |_| {
                                held.await;
                                Ok::<u64, Stop>(1)
                            });
                            inner.await
                        });
                        call.await.unwrap();
                        done.open();
                    }));
                    gate.crowd(1).await;
                    Ok::<u64, Stop>(1)
                }
            })
        };
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = placed(p.stage("a", stage), placement).after(n);
        let waits = gate.clone();
        let after = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let (waits, done) = (waits.clone(), done.clone());
            async move {
                waits.open();
                done.passed().await;
                Ok::<u64, Stop>(*n)
            }
        });
        let b = p.stage("b", after).after(a);
        let pipeline = p.output(b).build().unwrap();
        lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let expected = [
            "run started",
            "a started 1",
            "a chat m started",
            "a 0>execute_tool t started",
            "a 0>execute_tool t cancelled: what it belongs to ended before it did",
            "a chat m cancelled: what it belongs to ended before it did",
            "a succeeded 1",
            "b started 1",
            "b succeeded 1",
            "run succeeded",
        ];
        assert_eq!(lab.events(), expected, "{placement:?}");
    }
}

#[tokio::test]
async fn a_call_made_in_a_cleanup_belongs_to_the_run() {
    let lab = Lab::new();
    let lines = told(&lab, Placement::Inline, |cx| async move {
        let later = cx.clone();
        cx.on_cleanup("undo", move || async move {
            let undo = later.operation(Operation::tool("undo"), async |op: OperationCx| {
                op.operation(model(), async |_| Ok::<(), Stop>(())).await
            });
            undo.await.is_ok().then_some(()).ok_or("it failed")
        });
        Ok(1)
    });
    let expected = [
        "a succeeded 1",
        "a late execute_tool undo started",
        "a late chat m started",
        "a late chat m succeeded",
        "a late execute_tool undo succeeded",
        "cleanup undo succeeded",
    ];
    assert_eq!(lines.await, expected);
}

#[tokio::test]
async fn after_the_run_a_call_is_made_and_not_told() {
    let lab = Lab::new();
    let (send, sent) = oneshot::channel();
    let send = std::sync::Mutex::new(Some(send));
    let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let _ = send.lock().unwrap().take().unwrap().send(cx);
        async { Ok::<u64, Stop>(1) }
    });
    lab.engine
        .run(&alone(stage, Placement::Inline), 1, RunOptions::new())
        .await;
    let cx = sent.await.unwrap();
    let number = cx.operation(model(), async |op: OperationCx| {
        op.used(Usage::tokens(1, 1));
        assert_eq!(op.trace_parent(), cx.trace_parent());
        Ok::<_, Stop>(op.number())
    });
    assert_eq!(number.await.unwrap(), None);
    assert_eq!(lab.events().len(), 4);
}

/// The call around it ends first.
#[tokio::test]
async fn a_call_inside_one_that_has_ended_is_cancelled_with_it() {
    let lab = Lab::new();
    let lines = told(&lab, Placement::Inline, |cx| async move {
        let gate = Gate::new();
        let waits = gate.clone();
        let inner = cx.operation(model(), async |op: OperationCx| {
            let inner = tokio::spawn(async move {
                let tool = async |_| {
                    waits.passed().await;
                    Ok::<u64, Stop>(1)
                };
                op.operation(Operation::tool("t"), tool).await
            });
            gate.crowd(1).await;
            Ok::<_, Stop>(inner)
        });
        let inner = inner.await?;
        gate.open();
        inner.await.unwrap()
    });
    let expected = [
        "a chat m started",
        "a 0>execute_tool t started",
        "a 0>execute_tool t cancelled: what it belongs to ended before it did",
        "a chat m succeeded",
        "a succeeded 1",
    ];
    assert_eq!(lines.await, expected);
}

#[tokio::test]
async fn what_a_part_leaves_behind_is_cancelled_with_the_part() {
    let lab = Lab::new();
    let lines = told(&lab, Placement::Inline, |cx| async move {
        let gate = Gate::new();
        let (waits, named) = (gate.clone(), Step::Named("p".into()));
        let part = async |part: StageCx| {
            let waits = waits.clone();
            let left = tokio::spawn(async move {
                let tool = async |_| {
                    waits.passed().await;
                    Ok::<u64, Stop>(1)
                };
                part.operation(Operation::tool("t"), tool).await
            });
            gate.crowd(1).await;
            Ok(std::sync::Mutex::new(Some(left)))
        };
        let left = cx.call(named, PartLimits::default(), part).await?;
        gate.open();
        let left = left.lock().unwrap().take().unwrap();
        left.await.unwrap()
    });
    let expected = [
        "a.p started 1",
        "a.p execute_tool t started",
        "a.p execute_tool t cancelled: what it belongs to ended before it did",
        "a.p succeeded 1",
        "a succeeded 1",
    ];
    assert_eq!(lines.await, expected);
}

/// What stages may say as often as they like takes no room from what the engine says.
#[tokio::test]
async fn calls_that_a_reader_misses_cost_no_other_event() {
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        for _ in 0..50 {
            let call = cx.operation(model(), async |_| Ok::<u64, Stop>(1));
            call.await?;
        }
        Ok::<u64, Stop>(1)
    });
    let (pipeline, lab) = (alone(stage, Placement::Inline), Lab::new());
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let options = StreamOptions::new().capacity(std::num::NonZeroUsize::MIN);
    let (run, mut stream) = run.stream(options);
    run.await;
    let (mut told, mut missed) = (Vec::new(), 0);
    while let Some(item) = stream.next().await {
        missed += item.missed();
        told.extend(item.event().map(|event| event.name().to_owned()));
    }
    let expected = [
        "run.started",
        "stage.started",
        "operation.started",
        "stage.ended",
        "run.ended",
    ];
    assert_eq!((told, missed), (expected.map(str::to_owned).to_vec(), 99));
}
