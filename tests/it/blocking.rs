//! Stages that hold the thread of their run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stageflow::executor::EngineBuilder;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, TestRuntime, script};
use tokio::task::JoinSet;

use crate::support::{Lab, PassOn, hold_the_thread, wake_myself, watched};

const HELD: Duration = Duration::from_millis(80);

fn watchful(builder: EngineBuilder) -> EngineBuilder {
    builder.blocking_threshold(Duration::from_millis(20))
}

/// A stage that holds the thread, before or after its first suspension.
fn holding(lab: &Lab, suspends: bool) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    watched(&lab.probe, move |_cx, n: Arc<u64>| async move {
        if suspends {
            tokio::task::yield_now().await;
        }
        hold_the_thread(HELD);
        Ok(*n)
    })
}

#[tokio::test]
async fn a_stage_that_holds_the_thread_is_reported_before_its_end() {
    for suspends in [false, true] {
        let lab = Lab::with(watchful);
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let light = p.stage("light", script::ok::<Arc<u64>, u64>(1)).after(n);
        let a = p.stage("heavy", holding(&lab, suspends)).after(light);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let told = report.blocking().iter().find(|poll| poll.stage.get() == 1);
        assert!(
            told.is_some_and(|poll| poll.held >= HELD),
            "suspends {suspends}"
        );
        let said = lab.assert_nothing_left().await;
        let place = |line: &str| said.iter().position(|said| said == line).unwrap();
        assert!(
            place("heavy held the thread") < place("heavy succeeded 1"),
            "suspends {suspends}: {said:?}"
        );
        assert!(
            place("heavy held the thread") > place("heavy started 1"),
            "suspends {suspends}: {said:?}"
        );
    }
}

#[tokio::test]
async fn inside_layers_that_wait_blocking_is_reported_between_start_and_end_too() {
    for suspends in [false, true] {
        let lab = Lab::with(|builder| watchful(builder).intercept(PassOn));
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("heavy", holding(&lab, suspends)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(!report.blocking().is_empty());
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_stage_on_a_thread_of_its_own_holds_nobody() {
    let lab = Lab::with(watchful);
    let mut p = Pipeline::builder("apart");
    let n = p.input::<u64>();
    let a = p.stage("heavy", holding(&lab, true)).blocking().after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert!(report.blocking().is_empty(), "{:?}", report.blocking());
    lab.assert_nothing_left().await;
}

#[test]
fn a_stage_that_always_wakes_itself_does_not_starve_the_runtime() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            let lab = Lab::new();
            let (stop, turns) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicU64::new(0)),
            );
            let mut beside = JoinSet::new();
            let (end, count) = (Arc::clone(&stop), Arc::clone(&turns));
            beside.spawn(async move {
                while count.fetch_add(1, Ordering::SeqCst) < 100 {
                    tokio::task::yield_now().await;
                }
                end.store(true, Ordering::SeqCst);
            });
            let mut p = Pipeline::builder("restless");
            let n = p.input::<u64>();
            let end = Arc::clone(&stop);
            let restless = watched(&lab.probe, move |_cx, n: Arc<u64>| {
                let end = Arc::clone(&end);
                async move {
                    // Gives up in the end, so that a defect ends the test.
                    for _ in 0..5_000_000 {
                        if end.load(Ordering::SeqCst) {
                            return Ok(*n);
                        }
                        wake_myself().await;
                    }
                    Err(Stop::fail("the task beside it had no turn"))
                }
            });
            let a = p.stage("a", restless).after(n);
            let pipeline = p.output(a).build().unwrap();
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(
                report.is_success(),
                "{flavour}: the task beside it had its turns"
            );
            beside.join_all().await;
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn many_stages_that_always_wake_themselves_do_not_starve_one_that_is_quiet() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            let lab = Lab::new();
            let stop = Arc::new(AtomicBool::new(false));
            let mut p = Pipeline::builder("crowd");
            let n = p.input::<u64>();
            let ends = Arc::clone(&stop);
            let quiet = watched(&lab.probe, move |_cx, n: Arc<u64>| {
                let ends = Arc::clone(&ends);
                async move {
                    wake_myself().await;
                    ends.store(true, Ordering::SeqCst);
                    Ok(*n)
                }
            });
            let mut all = vec![p.stage("quiet", quiet).after(n)];
            for i in 0..500 {
                let ends = Arc::clone(&stop);
                let restless = watched(&lab.probe, move |_cx, n: Arc<u64>| {
                    let ends = Arc::clone(&ends);
                    async move {
                        // Gives up in the end, so that a defect ends the test.
                        for _ in 0..10_000 {
                            if ends.load(Ordering::SeqCst) {
                                return Ok(*n);
                            }
                            wake_myself().await;
                        }
                        Err(Stop::fail("nobody let the quiet one have its turn"))
                    }
                });
                all.push(p.stage(format!("restless-{i}"), restless).after(n));
            }
            let join = p
                .stage(
                    "join",
                    stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
                )
                .after(all);
            let pipeline = p.output(join).build().unwrap();
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(report.is_success(), "{flavour}: {:?}", report.error());
            lab.assert_nothing_left().await;
        });
    }
}
