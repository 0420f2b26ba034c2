//! Breakers that many tasks come to at once, on several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::StageErrorKind;
use stageflow::graph::Placement;
use stageflow::interceptors::BreakerState;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, RecordingSink};
use tokio::runtime::Handle;
use tokio::sync::Barrier;

use crate::breaker::{kind_of_with, n, said};
use crate::support::{PLACEMENTS, alone};

#[test]
fn exactly_as_many_probes_run_as_are_asked_for_when_everybody_comes_at_once() {
    const TASKS: usize = 100;
    for placement in PLACEMENTS {
        for probes in [1, 3, 7] {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(4)
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(at_once(placement, probes, TASKS));
        }
    }
}

/// Opens a breaker whose cool-down is over at once; then so many tasks come.
async fn at_once(placement: Placement, probes: u32, tasks: usize) {
    let gate = Gate::new();
    let bodies = Arc::new(AtomicUsize::new(0));
    let stage = {
        let (gate, bodies) = (gate.clone(), Arc::clone(&bodies));
        stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let gate = gate.clone();
            bodies.fetch_add(1, Ordering::SeqCst);
            async move {
                if *n == 0 {
                    return Err(Stop::transient("busy"));
                }
                gate.passed().await;
                Ok(*n)
            }
        })
    };
    let pipeline = Arc::new(alone(stage, placement));
    let breaker = Breaker::consecutive(n(1))
        .cool_down(Duration::ZERO)
        .probes(n(probes));
    let engine = Engine::builder().intercept(breaker.clone()).build();
    assert!(kind_of_with(&engine, &pipeline, 0).await.is_some());

    let barrier = Arc::new(Barrier::new(tasks));
    let rejected = Arc::new(AtomicUsize::new(0));
    let runs = (0..tasks).map(|_| {
        let (engine, pipeline) = (engine.clone(), Arc::clone(&pipeline));
        let (barrier, gate) = (Arc::clone(&barrier), gate.clone());
        let rejected = Arc::clone(&rejected);
        let all = tasks - probes as usize;
        Handle::current().spawn(async move {
            barrier.wait().await;
            let kind = kind_of_with(&engine, &pipeline, 1).await;
            let is_rejected = kind == Some(StageErrorKind::Rejected);
            // The probes hold their places until all others have come.
            if is_rejected && rejected.fetch_add(1, Ordering::SeqCst) + 1 == all {
                gate.open();
            }
            assert!(is_rejected || kind.is_none(), "{kind:?}");
            is_rejected
        })
    });
    let ends = tokio::time::timeout(Duration::from_secs(60), join_all(runs)).await;
    let rejected = ends
        .expect("as many are rejected as are no probes")
        .into_iter()
        .filter(|end| *end.as_ref().unwrap())
        .count();
    assert_eq!(rejected, tasks - probes as usize);
    let ran = bodies.load(Ordering::SeqCst) - 1;
    assert_eq!(ran, probes as usize, "bodies that ran");
    let states: Vec<_> = breaker.view().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [BreakerState::Closed { failures: 0 }]);
}

#[test]
fn the_books_agree_when_thousands_of_calls_of_all_kinds_meet() {
    const CALLS: usize = 4000;
    const WORKERS: usize = 16;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bodies = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&bodies);
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::task::yield_now().await;
                match *n % 5 {
                    0 | 1 => Err(Stop::transient("busy")),
                    2 => Err(Stop::skip("nothing to do")),
                    _ => Ok(*n),
                }
            }
        });
        let pipeline = Arc::new(alone(stage, Placement::Inherit));
        let sink = RecordingSink::new();
        let breaker = Breaker::consecutive(n(2))
            .cool_down(Duration::ZERO)
            .probes(n(2));
        let engine = Engine::builder()
            .intercept(breaker.clone())
            .events(sink.clone())
            .build();
        let workers = (0..WORKERS).map(|worker| {
            let (engine, pipeline) = (engine.clone(), Arc::clone(&pipeline));
            Handle::current().spawn(async move {
                let mut rejected = 0;
                for call in (worker..CALLS).step_by(WORKERS) {
                    let kind = kind_of_with(&engine, &pipeline, call as u64).await;
                    rejected += usize::from(kind == Some(StageErrorKind::Rejected));
                }
                rejected
            })
        });
        let rejected: usize = join_all(workers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .sum();
        let ran = bodies.load(Ordering::SeqCst);
        assert_eq!(ran + rejected, CALLS, "each call ran once or was rejected");

        let names = sink.names();
        let count = |what: &str| names.iter().filter(|name| *name == what).count();
        assert_eq!(count("layer.breaker.rejected"), rejected);
        let [opened, half, closed] =
            ["opened", "half_opened", "closed"].map(|what| count(&format!("layer.breaker.{what}")));
        // From open there is one way out, and from half-open there are two.
        let states: Vec<_> = breaker.view().into_iter().map(|(_, state)| state).collect();
        let (is_open, is_half) = match states[..] {
            [BreakerState::Open { .. }] => (1, 0),
            [BreakerState::HalfOpen { running, .. }] => {
                assert_eq!(running, 0, "nobody is under way any more");
                (0, 1)
            }
            _ => (0, 0),
        };
        assert_eq!(opened, half + is_open);
        let reopened = said(&sink)
            .iter()
            .filter(|line| line.contains("\"probe\":true"))
            .count();
        assert_eq!(half, closed + reopened + is_half);
        assert!(opened > 0 && half > 0, "{opened} {half} {closed}");
    });
}
