//! A run that a stage has started never outlives the run of that stage, however either of them ends.

use std::sync::Arc;

use futures_util::poll;
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending, Next, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, paused};
use tokio::runtime::Handle;

use crate::support::{Lab, Log, OpenInTheEnd, PLACEMENTS, cleanups, placed, watched};

/// A child whose stage, `s`, waits at the gate after it has registered a cleanup of this name, which waits at the other.
fn child(lab: &Lab, name: &str, gate: &Gate, cleanup: &Gate) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let (tidying, gate, cleanup) = (lab.tidying.clone(), gate.clone(), cleanup.clone());
    let label = name.to_owned();
    let s = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        let (tidying, gate, cleanup) = (tidying.clone(), gate.clone(), cleanup.clone());
        let label = label.clone();
        async move {
            tidying.add_with(&cx, &label, async move || cleanup.passed().await);
            gate.passed().await;
            Ok(*n)
        }
    });
    let s = p.stage("s", s).after(n);
    p.output(s).build().unwrap()
}

/// A parent whose stage, `a`, registers a cleanup called `parent` and runs the child.
fn parent(lab: &Lab, child: &Pipeline<u64, u64>, placement: Placement) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let (tidying, child) = (lab.tidying.clone(), child.clone());
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        let (tidying, child) = (tidying.clone(), child.clone());
        async move {
            tidying.add(&cx, "parent");
            Ok(*cx.run(&child, n).await?)
        }
    });
    let a = placed(p.stage("a", a), placement).after(n);
    p.output(a).build().unwrap()
}

/// A gate that lets everybody through.
fn open() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

#[test]
fn cancelling_the_parent_stops_the_child_at_once_and_cleans_up_child_first() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            for placement in PLACEMENTS {
                let (lab, gate) = (Lab::new(), Gate::new());
                let pipeline = parent(&lab, &child(&lab, "child", &gate, &open()), placement);
                let run = lab.engine.run(&pipeline, 1, RunOptions::new());
                let handle = run.handle();
                let cancel = async {
                    gate.crowd(1).await;
                    handle.cancel("enough");
                };
                let (report, ()) = tokio::join!(run, cancel);
                assert_eq!(report.outcome(), Outcome::Cancelled, "{placement:?}");
                assert_eq!(lab.tidying.ran(), ["child", "parent"], "{placement:?}");
                let events = lab.assert_nothing_left().await;
                let told = "run cancelled: the run that started it was stopped: cancelled: enough";
                assert!(events.iter().any(|event| event == told), "{events:?}");
            }
        });
    }
}

#[tokio::test]
async fn a_run_is_not_over_before_the_cleanups_of_a_child_that_was_dropped() {
    for placement in [Placement::Inline, Placement::Spawn] {
        let (lab, gate, cleanup) = (Lab::new(), Gate::new(), Gate::new());
        let pipeline = parent(&lab, &child(&lab, "child", &gate, &cleanup), placement);
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert!(poll!(&mut run).is_pending());
        gate.crowd(1).await;
        run.handle().cancel("enough");
        let wait = async {
            cleanup.crowd(1).await;
            assert_eq!(lab.tidying.ran(), ["child"], "the parent's waits for it");
        };
        tokio::select! {
            _ = &mut run => panic!("the run is over, and a cleanup of its child is not"),
            () = wait => {}
        }
        cleanup.open();
        assert_eq!(cleanups(&run.await), ["parent succeeded"]);
        lab.assert_nothing_left().await;
    }
}

#[test]
fn a_child_whose_stage_chose_something_else_is_seen_through_before_the_parent_s_cleanups() {
    paused(async {
        let (lab, gate, cleanup) = (Lab::new(), Gate::new(), Gate::new());
        let inner = child(&lab, "child", &gate, &cleanup);
        let mut p = Pipeline::builder("parent");
        let n = p.input::<u64>();
        let (tidying, opens) = (lab.tidying.clone(), cleanup.clone());
        let a = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let (tidying, inner) = (tidying.clone(), inner.clone());
            async move {
                tidying.add(&cx, "parent");
                let late = tokio::time::timeout(1.secs(), cx.run(&inner, n)).await;
                assert!(late.is_err());
                Ok::<_, Stop>(5_u64)
            }
        });
        let a = p.stage("a", a).after(n);
        let b = stage_fn(move |_cx, n: Arc<u64>| {
            let opens = opens.clone();
            async move {
                opens.crowd(1).await;
                opens.open();
                Ok::<_, Stop>(*n)
            }
        });
        let b = p.stage("b", b).after(a);
        let pipeline = p.output(b).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &5);
        assert_eq!(lab.tidying.ran(), ["child", "parent"]);
        lab.assert_nothing_left().await;
    });
}

#[tokio::test]
async fn a_panic_beside_a_child_takes_the_child_with_it() {
    for placement in PLACEMENTS {
        let (lab, gate) = (Lab::new(), Gate::new());
        let inner = child(&lab, "child", &gate, &open());
        let mut p = Pipeline::builder("parent");
        let n = p.input::<u64>();
        let (tidying, at) = (lab.tidying.clone(), gate.clone());
        let a = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let (tidying, inner, at) = (tidying.clone(), inner.clone(), at.clone());
            async move {
                tidying.add(&cx, "parent");
                let panics = async {
                    at.crowd(1).await;
                    crate::support::blow_up("oh");
                };
                let (n, ()) = tokio::join!(cx.run(&inner, n), panics);
                Ok::<_, Stop>(*n?)
            }
        });
        let a = placed(p.stage("a", a), placement).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.error().unwrap().code(), "SF0302", "{placement:?}");
        assert_eq!(lab.tidying.ran(), ["child", "parent"], "{placement:?}");
        lab.assert_nothing_left().await;
    }
}

/// Runs inside runs, sixteen deep, each with a cleanup; the innermost waits at the gate. Placements take turns.
fn tower(lab: &Lab, gate: &Gate, cleanup: &Gate) -> Pipeline<u64, u64> {
    let mut pipeline = child(lab, "16", gate, cleanup);
    for depth in (0..16).rev() {
        let name = depth.to_string();
        let mut p = Pipeline::builder(name.as_str());
        let n = p.input::<u64>();
        let tidying = lab.tidying.clone();
        let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
            let (tidying, below, name) = (tidying.clone(), pipeline.clone(), name.clone());
            async move {
                tidying.add(&cx, &name);
                Ok(*cx.run(&below, n).await?)
            }
        });
        let a = placed(p.stage("a", a), PLACEMENTS[depth % 3]).after(n);
        pipeline = p.output(a).build().unwrap();
    }
    pipeline
}

#[test]
fn sixteen_runs_deep_every_ending_cleans_up_from_the_inside_out() {
    for flavour in Flavour::ALL {
        for ending in ["success", "cancel", "drop", "deadline"] {
            let (gate, cleanup) = (Gate::new(), Gate::new());
            let _open = OpenInTheEnd(&gate);
            TestRuntime::running(flavour).block_on(async {
                let lab = Lab::new();
                let pipeline = tower(&lab, &gate, &cleanup);
                let mut options = RunOptions::new();
                if ending == "deadline" {
                    options = options.deadline(500.millis());
                }
                let mut run = Box::pin(lab.engine.run(&pipeline, 1, options));
                assert!(poll!(&mut run).is_pending());
                tokio::select! {
                    report = &mut run => panic!("{report:?}"),
                    () = gate.crowd(1) => {}
                }
                cleanup.open();
                match ending {
                    "success" => {
                        gate.open();
                        assert_eq!(run.await.output().unwrap(), &1);
                    }
                    "cancel" => {
                        run.handle().cancel("enough");
                        assert_eq!(run.await.outcome(), Outcome::Cancelled);
                    }
                    "deadline" => assert_eq!(run.await.outcome(), Outcome::TimedOut),
                    _ => {
                        drop(run);
                        lab.engine.settled().await;
                    }
                }
                let inside_out: Vec<_> = (0..=16).rev().map(|depth| depth.to_string()).collect();
                assert_eq!(lab.tidying.ran(), inside_out, "{flavour}, {ending}");
                lab.assert_nothing_left().await;
            });
        }
    }
}

#[test]
fn a_child_in_a_task_of_the_stage_s_own_ends_before_its_parent() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            let (lab, gate) = (Lab::new(), Gate::new());
            let inner = child(&lab, "child", &gate, &open());
            let mut p = Pipeline::builder("parent");
            let n = p.input::<u64>();
            let (tidying, at, log) = (lab.tidying.clone(), gate.clone(), Log::default());
            let says = log.clone();
            let a = stage_fn(move |cx: StageCx, n: Arc<u64>| {
                let (tidying, inner, at) = (tidying.clone(), inner.clone(), at.clone());
                let says = says.clone();
                async move {
                    tidying.add(&cx, "parent");
                    let outside = cx.clone();
                    Handle::current().spawn(async move {
                        let report = outside.run(&inner, n).report().await.unwrap();
                        says.write(report.cancel_reason().unwrap().to_string());
                    });
                    at.crowd(1).await;
                    Ok::<_, Stop>(5_u64)
                }
            });
            let a = p.stage("a", a).after(n);
            let pipeline = p.output(a).build().unwrap();
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.outcome(), Outcome::Succeeded);
            assert_eq!(lab.tidying.ran(), ["child", "parent"], "{flavour}");
            lab.assert_nothing_left().await;
            crate::support::eventually("the task has said it", || !log.lines().is_empty()).await;
            assert_eq!(
                log.lines(),
                ["the run that started it was stopped: cancelled: its stages have ended"]
            );
        });
    }
}

/// Calls again after a timeout of its own.
struct Again;

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        if call.stage().as_str() == "a"
            && let Ok(ending) = tokio::time::timeout(1.secs(), next.run(call)).await
        {
            return ending;
        }
        next.run(call).await
    }
}

#[test]
fn before_another_attempt_the_child_of_the_last_one_is_over() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Again));
        let log = Log::default();
        let mut p = Pipeline::builder("child");
        let attempt = p.input::<u32>();
        let says = log.clone();
        let s = stage_fn(move |cx: StageCx, attempt: Arc<u32>| {
            let (says, ended) = (says.clone(), says.clone());
            async move {
                says.write(format!("{attempt} starts"));
                let number = *attempt;
                cx.on_cleanup("slow", async move || {
                    tokio::time::sleep(7.secs()).await;
                    ended.write(format!("{number} is over"));
                });
                if *attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Stop>(0_u64)
            }
        });
        let s = p.stage("s", s).after(attempt);
        let inner = p.output(s).build().unwrap();
        let mut p = Pipeline::builder("parent");
        let n = p.input::<u64>();
        let a = stage_fn(move |cx: StageCx, _: Arc<u64>| {
            let inner = inner.clone();
            async move { Ok::<_, Stop>(*cx.run(&inner, cx.attempt().get()).await?) }
        });
        let a = p.stage("a", a).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Succeeded);
        assert_eq!(
            log.lines(),
            ["1 starts", "1 is over", "2 starts", "2 is over"]
        );
        lab.assert_nothing_left().await;
    });
}
