//! Equal calls at the same time: one goes on, and whatever becomes of it, nobody is left waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::executor::RunHandle;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cache::{lone, room, same};
use crate::support::{Lab, PLACEMENTS, eventually, placed};

const MANY: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn equal_calls_at_the_same_time_run_once_and_get_the_same_value() {
    for placement in PLACEMENTS {
        let (cache, gate) = (room(10), Gate::new());
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let stage = script::ok::<Arc<u64>, _>("made".to_owned())
            .behind(&gate)
            .watched_by(&lab.probe);
        // Threads that may block are not there for so many at once to wait.
        let runs = if placement == Placement::Blocking {
            8
        } else {
            MANY
        };
        let pipeline = lone("p", stage, |a| placed(a.cached(), placement));
        let all = join_all((0..runs).map(|_| lab.engine.run(&pipeline, 1, RunOptions::new())));
        let (reports, ()) = tokio::join!(all, async {
            gate.crowd(1).await;
            gate.open();
        });
        assert_eq!(lab.probe.calls(), 1);
        let values: Vec<_> = reports.iter().map(|r| r.value_of("a").unwrap()).collect();
        assert!(values.iter().all(|value| same(value, values[0])));
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.stored), (1, 1));
        assert_eq!(stats.joined + stats.hits, runs as u64 - 1);
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_failure_is_nobody_elses_and_the_next_goes_on() {
    let (cache, gate) = (room(10), Gate::new());
    let lab = Lab::with(|builder| builder.intercept(cache.clone()));
    // Two fail, the third gives a value.
    let stage = script::fail::<Arc<u64>, u64>("one")
        .then(script::skip("two"))
        .then(script::ok(3))
        .behind(&gate)
        .watched_by(&lab.probe);
    let pipeline = lone("p", stage, |a| a.cached());
    let all = join_all((0..MANY).map(|_| lab.engine.run(&pipeline, 1, RunOptions::new())));
    let (reports, ()) = tokio::join!(all, async {
        gate.crowd(1).await;
        gate.open();
    });
    let ended = |outcome| reports.iter().filter(|r| r.outcome() == outcome).count();
    assert_eq!(ended(Outcome::Failed), 1);
    assert_eq!(ended(Outcome::Succeeded), MANY - 2, "one was skipped");
    assert_eq!(lab.probe.calls(), 3);
    assert_eq!(cache.stats().misses, 3);
    lab.assert_nothing_left().await;
}

#[derive(Clone, Copy, Debug)]
enum Goes {
    Cancelled,
    Dropped,
    OutOfTime,
}

#[test]
fn whoever_is_stopped_while_it_goes_on_hands_over_to_one_of_the_others() {
    for goes in [Goes::Cancelled, Goes::Dropped, Goes::OutOfTime] {
        for placement in [Placement::Inline, Placement::Spawn] {
            paused(handed_over(goes, placement));
        }
    }
}

/// A run in a task of its own, and its handle once it has started.
fn spawned(
    lab: &Lab,
    pipeline: &Arc<Pipeline<u64, u64>>,
    options: RunOptions,
) -> (JoinHandle<RunReport<u64>>, oneshot::Receiver<RunHandle>) {
    let (engine, pipeline) = (lab.engine.clone(), Arc::clone(pipeline));
    let (tell, told) = oneshot::channel();
    let run = async move {
        let run = engine.run(&pipeline, 1, options);
        let _ = tell.send(run.handle());
        run.await
    };
    (Handle::current().spawn(run), told)
}

async fn handed_over(goes: Goes, placement: Placement) {
    let (cache, gate) = (room(10), Gate::new());
    let lab = Lab::with(|builder| builder.intercept(cache.clone()));
    let stage = script::ok::<Arc<u64>, u64>(3)
        .behind(&gate)
        .watched_by(&lab.probe);
    let pipeline = lone("p", stage, |a| placed(a.cached(), placement));
    let options = match goes {
        Goes::OutOfTime => RunOptions::new().deadline(Duration::from_secs(1)),
        _ => RunOptions::new(),
    };
    let pipeline = Arc::new(pipeline);
    let (first, handle) = spawned(&lab, &pipeline, options);
    gate.crowd(1).await;
    let handle = handle.await.unwrap();
    let others: Vec<_> = (0..9)
        .map(|_| spawned(&lab, &pipeline, RunOptions::new()).0)
        .collect();
    // All of them come to wait before the first is stopped.
    tokio::time::sleep(Duration::from_millis(1)).await;
    match goes {
        Goes::Cancelled => assert!(handle.cancel("enough")),
        Goes::Dropped => first.abort(),
        Goes::OutOfTime => {}
    }
    eventually_led_by_another(&lab).await;
    gate.open();
    for other in others {
        assert_eq!(other.await.unwrap().output().unwrap(), &3, "{goes:?}");
    }
    match goes {
        Goes::Cancelled => assert_eq!(first.await.unwrap().outcome(), Outcome::Cancelled),
        Goes::Dropped => assert!(first.await.unwrap_err().is_cancelled()),
        Goes::OutOfTime => assert_eq!(first.await.unwrap().outcome(), Outcome::TimedOut),
    }
    assert_eq!(lab.probe.calls(), 2, "{goes:?} {placement:?}");
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.stored, stats.joined), (2, 1, 8));
    eventually("its tasks end", || lab.engine.live_tasks() == 0).await;
}

async fn eventually_led_by_another(lab: &Lab) {
    for _ in 0..10_000 {
        if lab.probe.calls() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nobody went on");
}

#[test]
fn whoever_waits_still_ends_at_its_own_deadline() {
    paused(async {
        let gate = Gate::new();
        let lab = Lab::with(|builder| builder.intercept(room(10)));
        let stage = script::ok::<Arc<u64>, u64>(3).behind(&gate);
        let pipeline = lone("p", stage, |a| a.cached());
        let pipeline = Arc::new(pipeline);
        let (first, _) = spawned(&lab, &pipeline, RunOptions::new());
        gate.crowd(1).await;
        let options = RunOptions::new().deadline(Duration::from_secs(2));
        let report = lab.engine.run(&pipeline, 1, options).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(report.duration(), Duration::from_secs(2));
        assert_eq!(report.stage("a").unwrap().stopped_in(), Some("cache"));
        gate.open();
        assert_eq!(first.await.unwrap().output().unwrap(), &3);
    });
}

/// A value is not given for longer than its time, however many wait for it all the while.
#[test]
fn what_is_given_to_those_who_wait_is_no_older_than_it_may_be() {
    paused(async {
        let cache = room(10).ttl(Duration::from_secs(1));
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let stage = script::ok::<Arc<u64>, u64>(3)
            .taking(Duration::from_millis(100))
            .watched_by(&lab.probe);
        let pipeline = lone("p", stage, |a| a.cached());
        let asks = (0..1000_u64).map(|at| {
            let (lab, pipeline) = (&lab, &pipeline);
            async move {
                tokio::time::sleep(Duration::from_millis(at * 10)).await;
                let report = lab.engine.run(pipeline, 1, RunOptions::new()).await;
                report.into_output().unwrap()
            }
        });
        join_all(asks).await;
        // Ten seconds, each value made in 100 ms and good for a second.
        let calls = lab.probe.calls();
        assert!((9..=10).contains(&calls), "{calls} calls");
    });
}

/// A cached stage that asks, in a child run, for what it is about to give must not wait for itself.
#[test]
fn whoever_is_inside_the_call_it_would_wait_for_does_not_wait() {
    paused(async {
        let cache = room(10);
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let inner = Arc::new(lone("p", script::ok::<Arc<u64>, u64>(7), |a| a.cached()));
        let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let inner = Arc::clone(&inner);
            async move { Ok::<u64, Stop>(*cx.run(&*inner, *n).await? + 1) }
        });
        let outer = lone("p", stage, |a| a.cached());
        let options = RunOptions::new().deadline(Duration::from_secs(60));
        let report = lab.engine.run(&outer, 1, options).await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{:?}", report.error());
        assert_eq!(report.duration(), Duration::ZERO);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// One that gives up waiting takes nothing with it: those who come later still join.
#[test]
fn whoever_gives_up_waiting_leaves_the_others_where_they_are() {
    paused(async {
        let (cache, gate) = (room(10), Gate::new());
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let stage = script::ok::<Arc<u64>, u64>(3)
            .behind(&gate)
            .watched_by(&lab.probe);
        let pipeline = Arc::new(lone("p", stage, |a| a.cached()));
        let (first, _) = spawned(&lab, &pipeline, RunOptions::new());
        gate.crowd(1).await;
        let options = RunOptions::new().deadline(Duration::from_secs(1));
        let report = lab.engine.run(&pipeline, 1, options).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        let (third, _) = spawned(&lab, &pipeline, RunOptions::new());
        tokio::time::sleep(Duration::from_millis(1)).await;
        gate.open();
        for run in [first, third] {
            assert_eq!(run.await.unwrap().output().unwrap(), &3);
        }
        assert_eq!((lab.probe.calls(), cache.stats().joined), (1, 1));
    });
}

/// One that waits and is not polled for long keeps no value alive for those who come later.
#[test]
fn a_value_that_is_too_old_is_given_to_nobody_who_comes_later() {
    paused(async {
        let (cache, gate) = (room(10).ttl(Duration::from_secs(1)), Gate::new());
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let stage = script::ok::<Arc<u64>, u64>(3)
            .behind(&gate)
            .watched_by(&lab.probe);
        let pipeline = Arc::new(lone("p", stage, |a| a.cached()));
        let (first, _) = spawned(&lab, &pipeline, RunOptions::new());
        gate.crowd(1).await;
        let mut slow = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert!(futures_util::poll!(&mut slow).is_pending());
        gate.open();
        first.await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(lab.probe.calls(), 2);
        assert_eq!(slow.await.output().unwrap(), &3);
    });
}

/// Between a look into the cache and a seat in the flight another thread may have stored the value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_on_many_threads_run_once_for_each_input() {
    const INPUTS: u64 = 3000;
    let lab = Lab::with(|builder| builder.intercept(room(10_000)));
    let stage = script::give(|n: Arc<u64>| Ok(*n)).watched_by(&lab.probe);
    let pipeline = Arc::new(lone("p", stage, |a| a.cached()));
    let asks = (0..4).map(|_| {
        let (engine, pipeline) = (lab.engine.clone(), Arc::clone(&pipeline));
        Handle::current().spawn(async move {
            for n in 0..INPUTS {
                let report = engine.run(&pipeline, n, RunOptions::new()).await;
                assert_eq!(report.output().unwrap(), &n);
            }
        })
    });
    for asked in join_all(asks).await {
        asked.unwrap();
    }
    assert_eq!(lab.probe.calls() as u64, INPUTS);
}
