//! Items, rounds and other parts are tried again by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use stageflow::context::{PartLimits, Step};
use stageflow::graph::Placement;
use stageflow::interceptors::On;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{Times, count, plain, said};
use crate::support::{Lab, alone};

/// A pipeline of one map over numbers, `a`, in which number `n` fails `n` times.
fn uneven(tries: &Arc<Mutex<HashMap<u64, u64>>>) -> Pipeline<Vec<Arc<u64>>, Vec<Arc<u64>>> {
    let tries = Arc::clone(tries);
    let uneven = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        let mut tries = tries.lock().unwrap();
        let made = tries.entry(*n).or_default();
        *made += 1;
        let result = if *made > *n {
            Ok(*n * 10)
        } else {
            Err(Stop::transient("busy"))
        };
        async move { result }
    });
    let mut p = Pipeline::builder("over");
    let n = p.input::<Vec<Arc<u64>>>();
    let a = p.stage("a", map(uneven)).after(n);
    p.output(a).build().unwrap()
}

#[test]
fn each_item_of_a_map_is_tried_again_by_itself() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(5)));
        let tries = Arc::default();
        let items = (0..5).map(Arc::new).collect();
        let report = lab
            .engine
            .run(&uneven(&tries), items, RunOptions::new())
            .await;
        let results: Vec<u64> = report.output().unwrap().iter().map(|n| **n).collect();
        assert_eq!(results, [0, 10, 20, 30, 40]);
        let tries = tries.lock().unwrap().clone();
        assert_eq!(tries, (0..5).map(|n| (n, n + 1)).collect());
        assert_eq!(report.stage("a").unwrap().attempts(), 1);
        let said = said(&lab.sink.all());
        assert_eq!(
            (count(&said, "scheduled"), count(&said, "recovered")),
            (10, 4)
        );
    });
}

#[test]
fn items_that_fail_together_do_not_come_back_together() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Retry::exponential(2)));
        let mut p = Pipeline::builder("over");
        let n = p.input::<Vec<Arc<u64>>>();
        let busy = map(script::transient::<Arc<u64>, u64>("busy"));
        let a = p.stage("a", busy.skip_failed()).after(n);
        let pipeline = p.output(a).build().unwrap();
        let items = (0..20).map(Arc::new).collect();
        let _report = lab
            .engine
            .run(&pipeline, items, RunOptions::new().seed(3))
            .await;
        let mut delays = super::delays(&said(&lab.sink.all()));
        delays.sort_unstable();
        delays.dedup();
        assert!(delays.len() > 10, "{delays:?}");
    });
}

#[test]
fn what_was_given_up_inside_is_not_tried_again_outside() {
    for (when, calls) in [(None, 3), (Some(()), 9)] {
        paused(async {
            let retry = match when {
                None => plain(3),
                Some(()) => plain(3).when(|error| error.class() == ErrorClass::Transient),
            };
            let lab = Lab::with(|builder| builder.intercept(retry));
            let times = Times::default();
            let inside = times.clone();
            let stage = stage_fn(move |cx: StageCx, _n: Arc<u64>| {
                let times = inside.clone();
                async move {
                    let step = Step::Named("inside".into());
                    let part = cx.call(step, PartLimits::default(), |_cx| {
                        times.note();
                        async { Err::<u64, _>(Stop::transient("busy")) }
                    });
                    Ok(*part.await?)
                }
            });
            let pipeline = alone(stage, Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(times.count(), calls);
            let error = &report.errors()[0];
            assert_eq!(error.path(), "a.inside");
            // All errors of the last call, and those of the calls before that were given up.
            assert!(error.earlier().len() >= 2);
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn a_child_run_is_tried_again_inside_and_outside_unless_it_is_said_otherwise() {
    for (outside, calls) in [(3, 9), (1, 3)] {
        paused(async {
            let times = Times::default();
            let child = alone(times.failing(|| Stop::transient("busy")), Placement::Inline);
            let mut p = Pipeline::builder("parent");
            let n = p.input::<u64>();
            let research = p.stage("research", sub(&child)).after(n);
            let pipeline = p.output(research).build().unwrap();
            let lab = Lab::with(|builder| {
                let builder = builder.intercept(plain(3));
                builder.intercept_on(On::stage("research"), plain(outside))
            });
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(!report.is_success());
            assert_eq!(times.count(), calls);
            lab.assert_nothing_left().await;
        });
    }
}
