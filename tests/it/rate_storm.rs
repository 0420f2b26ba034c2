//! A storm of retries against a dependency that takes so many calls a second.

use std::sync::Arc;

use futures_util::future::join_all;
use stageflow::prelude::*;
use stageflow_testkit::paused;

use crate::rate::{Began, one, per_second};

/// A thousand runs at once, with retries, against something that takes 50 calls a second and fails all others.
#[test]
fn a_storm_of_retries_stays_within_what_the_dependency_takes() {
    paused(async {
        let began = Began::new();
        let dependency = began.clone();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let at = dependency.since.elapsed().as_millis() as u64;
            let mut calls = dependency.calls.lock().unwrap();
            let lately = calls.iter().filter(|call| call.1 + 1000 > at).count();
            calls.push((*n, at));
            async move {
                match lately {
                    // One in ten fails whatever the load is.
                    0..50 if *n % 10 != 3 || at > 30_000 => Ok(*n),
                    _ => Err(Stop::transient("busy")),
                }
            }
        });
        let mut p = Pipeline::builder("storm");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        let pipeline = p.output(a).build().unwrap();
        let limit = per_second(50)
            .burst(one())
            .wait_up_to(10.mins())
            .each_attempt();
        let engine = Engine::builder()
            .intercept(Retry::exponential(12))
            .intercept(limit)
            .build();
        // With seeds of their own, the pauses are the same each time.
        let runs = (0..1000).map(|n| engine.run(&pipeline, n, RunOptions::new().seed(n)));
        let reports = join_all(runs).await;
        assert!(reports.iter().all(RunReport::is_success));
        let calls = began.calls();
        let last = calls.last().unwrap().1;
        for second in 0..=last / 1000 {
            let in_it = calls.iter().filter(|call| call.1 / 1000 == second).count();
            assert!(in_it <= 50, "{in_it} calls in second {second}");
        }
        // Nothing is wasted either: while there is work, each turn is used.
        let in_the_first_twenty = calls.iter().filter(|call| call.1 < 20_000).count();
        assert_eq!(in_the_first_twenty, 1000);
    });
}
