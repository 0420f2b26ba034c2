//! How soon a run that is cancelled has stopped.

use std::sync::Arc;
use std::time::Duration;

use stageflow::context::CancelReason;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, TestRuntime, paused, script};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::{Lab, PassOn, outcomes, placed, watched};

/// A stage that is done, and one that takes a second: waiting, or at work with checkpoints.
fn a_second(lab: &Lab, placement: Placement) -> (Pipeline<u64, u64>, Handle<u64>) {
    let mut p = Pipeline::builder("a-second");
    let n = p.input::<u64>();
    let done = p.stage("done", script::ok::<Arc<u64>, u64>(7)).after(n);
    let tidying = lab.tidying.clone();
    let long = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, "long");
        work(cx, n, placement)
    });
    let long = placed(p.stage("long", long), placement).after(done);
    (p.output(long).build().unwrap(), done)
}

async fn work(cx: StageCx, n: Arc<u64>, placement: Placement) -> Result<u64, Stop> {
    if placement == Placement::Blocking {
        let until = Instant::now() + 1.secs();
        while Instant::now() < until {
            cx.check()?;
            std::thread::yield_now();
        }
    } else {
        sleep(1.secs()).await;
    }
    Ok(*n)
}

#[test]
fn a_run_cancelled_50_ms_into_a_second_is_over_at_50_ms() {
    paused(async {
        for waits in [false, true] {
            for placement in [Placement::Inline, Placement::Spawn] {
                let lab = Lab::with(|builder| {
                    if waits {
                        builder.intercept(PassOn)
                    } else {
                        builder
                    }
                });
                let (pipeline, done) = a_second(&lab, placement);
                let started = Instant::now();
                let run = lab.engine.run(&pipeline, 1, RunOptions::new());
                let handle = run.handle();
                let (report, _) = tokio::join!(run, async {
                    sleep(50.millis()).await;
                    handle.cancel("enough")
                });
                assert_eq!(
                    started.elapsed(),
                    50.millis(),
                    "{placement:?}, waits {waits}"
                );
                assert_eq!(report.outcome(), Outcome::Cancelled);
                assert_eq!(
                    report.cancel_reason(),
                    Some(&CancelReason::requested("enough"))
                );
                assert_eq!(outcomes(&report), ["done succeeded", "long cancelled"]);
                assert_eq!(report.value(done).as_deref(), Some(&7));
                lab.assert_nothing_left().await;
            }
        }
    });
}

/// From the cancel to the report, in time that really passes.
async fn cancelled(lab: &Lab, placement: Placement) -> Duration {
    let (pipeline, done) = a_second(lab, placement);
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let handle = run.handle();
    let (report, at) = tokio::join!(run, async {
        sleep(50.millis()).await;
        handle.cancel("enough");
        Instant::now()
    });
    let took = at.elapsed();
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(report.value(done).as_deref(), Some(&7));
    took
}

/// The same with a task of tokio's, and nothing else.
async fn aborted() -> Duration {
    let mut tasks = JoinSet::new();
    tasks.spawn(sleep(1.secs()));
    sleep(5.millis()).await;
    tasks.abort_all();
    let at = Instant::now();
    assert!(tasks.join_next().await.is_some_and(|ended| ended.is_err()));
    at.elapsed()
}

#[test]
fn in_real_time_it_is_over_about_as_soon_as_a_task_that_is_aborted() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            for placement in [Placement::Inline, Placement::Spawn, Placement::Blocking] {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                // The best of several tries: the others say how busy the machine is.
                for _ in 0..4 {
                    let lab = Lab::new();
                    ours.push(cancelled(&lab, placement).await);
                    lab.assert_nothing_left().await;
                    theirs.push(aborted().await);
                }
                let (ours, theirs) = (ours.iter().min().unwrap(), theirs.iter().min().unwrap());
                assert!(
                    *ours < 500 * *theirs,
                    "{flavour} {placement:?}: {ours:?}, and a task alone {theirs:?}"
                );
            }
        });
    }
}

#[test]
fn a_stage_that_waits_for_the_cancel_itself_has_time_to_say_so() {
    paused(async {
        let lab = Lab::new();
        for placement in [Placement::Inline, Placement::Spawn] {
            let tidying = lab.tidying.clone();
            let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
                tidying.add(&cx, "a");
                async move {
                    tokio::select! {
                        () = cx.cancelled() => cx.check()?,
                        () = sleep(1.secs()) => {}
                    }
                    Ok(*n)
                }
            });
            let mut p = Pipeline::builder("select");
            let n = p.input::<u64>();
            let a = placed(p.stage("a", stage), placement).after(n);
            let pipeline = p.output(a).build().unwrap();
            let run = lab.engine.run(&pipeline, 1, RunOptions::new());
            let handle = run.handle();
            let (report, _) = tokio::join!(run, async {
                sleep(50.millis()).await;
                handle.cancel("enough")
            });
            assert_eq!(
                (report.outcome(), report.duration()),
                (Outcome::Cancelled, 50.millis())
            );
            assert_eq!(outcomes(&report), ["a cancelled"]);
        }
        assert_eq!(lab.tidying.ran(), ["a", "a"]);
        lab.assert_nothing_left().await;
    });
}
