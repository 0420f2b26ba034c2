//! No more at a time than was said, over all runs; and no fewer.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use stageflow::executor::{EngineBuilder, PoolKind};
use stageflow::graph::{NamedInputs, PipelineSpec, Registry};
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::Instant;

use super::{Ledger, busy, many, units};
use crate::support::undisturbed;

/// How long this many runs of a pipeline take together.
fn together(engine: EngineBuilder, pipeline: &Pipeline<u64, u64>, runs: u64) -> u128 {
    paused(async {
        let engine = engine.build();
        let started = Instant::now();
        let runs = (0..runs).map(|n| engine.run(pipeline, n, RunOptions::new()));
        for (n, report) in (0..).zip(join_all(runs).await) {
            assert_eq!(report.output().unwrap(), &n);
        }
        assert!(engine.slots().is_idle(), "{:?}", engine.slots());
        started.elapsed().as_millis()
    })
}

#[test]
fn slots_are_shared_by_all_runs() {
    let ledger = Ledger::default();
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let a = p.stage("a", busy(&ledger, 1, 10)).after(n);
    let pipeline = p.output(a).build().unwrap();
    assert_eq!(together(undisturbed().slots(many(2)), &pipeline, 6), 30);
    assert_eq!(ledger.peak(), 2);
}

#[test]
fn a_stage_takes_as_many_units_as_it_says() {
    let ledger = Ledger::default();
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let a = p
        .stage("a", busy(&ledger, 2, 10))
        .pool("gpu", units(2))
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    // Three units: one stage at a time. Five units: two.
    assert_eq!(
        together(undisturbed().pool("gpu", units(3)), &pipeline, 4),
        40
    );
    assert_eq!(ledger.peak(), 2);
    assert_eq!(
        together(undisturbed().pool("gpu", units(5)), &pipeline, 4),
        20
    );
    assert_eq!(ledger.peak(), 4);
}

#[test]
fn a_limit_of_a_stage_holds_over_all_runs_and_for_no_other_stage() {
    let (a_ran, b_ran) = (Ledger::default(), Ledger::default());
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let a = p.stage("a", busy(&a_ran, 1, 10)).after(n);
    let b = p.stage("b", busy(&b_ran, 1, 10)).limit(many(2)).after(a);
    let pipeline = p.output(b).build().unwrap();
    assert_eq!(together(undisturbed(), &pipeline, 6), 40);
    assert_eq!((a_ran.peak(), b_ran.peak()), (6, 2));
}

#[test]
fn a_limit_of_a_pipeline_holds_for_all_its_stages_together() {
    let ledger = Ledger::default();
    let mut p = Pipeline::builder("p");
    p.limit(many(3));
    let n = p.input::<u64>();
    let a = p.stage("a", busy(&ledger, 1, 10)).after(n);
    let b = p.stage("b", busy(&ledger, 1, 10)).after(a);
    let pipeline = p.output(b).build().unwrap();
    assert_eq!(together(undisturbed(), &pipeline, 6), 40);
    assert_eq!(ledger.peak(), 3);
}

#[test]
fn limits_go_with_the_stages_into_another_pipeline() {
    let (inside, limited, outside) = <(Ledger, Ledger, Ledger)>::default();
    let mut inner = Pipeline::builder("inner");
    inner.limit(many(3));
    let n = inner.input::<u64>();
    let a = inner.stage("a", busy(&inside, 1, 10)).after(n);
    let b = inner
        .stage("b", busy(&limited, 1, 10))
        .limit(many(1))
        .after(a);
    let inner = inner.output(b).build().unwrap();
    let mut p = Pipeline::builder("p");
    p.limit(many(5));
    let n = p.input::<u64>();
    let first = p.stage("first", busy(&outside, 1, 10)).after(n);
    let last = p.embed("sub", &inner).after(first);
    let pipeline = p.output(last).build().unwrap();
    // Six calls of `b`, one at a time, after the first `first` and the first `a`.
    assert_eq!(together(undisturbed(), &pipeline, 6), 80);
    assert_eq!((outside.peak(), inside.peak(), limited.peak()), (5, 3, 1));
}

#[test]
fn each_engine_counts_for_itself() {
    let ledger = Ledger::default();
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let a = p.stage("a", busy(&ledger, 1, 10)).limit(many(1)).after(n);
    let pipeline = p.output(a).build().unwrap();
    paused(async {
        let engines = [undisturbed().build(), undisturbed().build()];
        let runs = engines
            .iter()
            .map(|engine| engine.run(&pipeline, 1, RunOptions::new()));
        join_all(runs).await;
    });
    assert_eq!(ledger.peak(), 2);
}

#[test]
fn usage_tells_what_is_in_use_and_who_waits() {
    let ledger = Ledger::default();
    let mut p = Pipeline::builder("p");
    p.limit(many(7));
    let n = p.input::<u64>();
    let a = p
        .stage("a", busy(&ledger, 1, 10))
        .limit(many(4))
        .pool("gpu", units(2))
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    paused(async {
        let engine = undisturbed()
            .slots(many(9))
            .pool("gpu", units(3))
            .pool("cpu", units(1))
            .build();
        let runs = (0..5).map(|n| {
            let priority = if n < 3 {
                Priority::NORMAL
            } else {
                Priority::LOW
            };
            engine.run(&pipeline, n, RunOptions::new().priority(priority))
        });
        let look = async {
            tokio::time::sleep(5.millis()).await;
            engine.slots()
        };
        let (usage, _) = futures_util::join!(look, join_all(runs));
        let told = |kind: &PoolKind| match kind {
            PoolKind::Engine => "engine".to_owned(),
            PoolKind::Named(name) => format!("pool {name}"),
            PoolKind::Pipeline(name) => format!("pipeline {name}"),
            PoolKind::Stage(name) => format!("stage {name}"),
            _ => "?".to_owned(),
        };
        let waiting = HashMap::from([(Priority::NORMAL, 2), (Priority::LOW, 2)]);
        for (pool, (name, capacity, in_use)) in usage.pools().iter().zip([
            ("engine", 9, 1),
            ("pool cpu", 1, 0),
            ("pool gpu", 3, 2),
            ("pipeline p", 7, 1),
            ("stage a", 4, 1),
        ]) {
            assert_eq!(
                (told(&pool.kind).as_str(), pool.capacity, pool.in_use),
                (name, capacity, in_use)
            );
            if name != "pool cpu" {
                assert_eq!(
                    pool.waiting.clone().into_iter().collect::<HashMap<_, _>>(),
                    waiting
                );
            }
        }
        assert_eq!(
            engine.slots().pools().len(),
            3,
            "limits are forgotten with the last run"
        );
    });
}

#[test]
fn pipelines_from_data_have_pools_and_limits_too() {
    let spec: PipelineSpec = serde_json::from_value(json!({
        "name": "p",
        "limit": 4,
        "stages": [{ "name": "a", "run": "wait", "pools": { "gpu": 2, "cpu": 1 }, "limit": 3 }],
    }))
    .unwrap();
    let mut registry = Registry::new();
    registry.add("wait", |_: &Value| {
        Ok(stage_fn(async |_cx, _: NamedInputs| {
            tokio::time::sleep(10.millis()).await;
            Ok(json!(null))
        }))
    });
    let pipeline = spec.build(&registry).unwrap();
    assert_eq!(pipeline.plan().limits()[0].at_most(), many(4));
    assert!(
        pipeline
            .mermaid()
            .contains("pool cpu, pool gpu×2, 3 at a time"),
        "{}",
        pipeline.mermaid()
    );
    let zero =
        json!({ "name": "p", "stages": [{ "name": "a", "run": "wait", "pools": { "gpu": 0 } }] });
    assert!(serde_json::from_value::<PipelineSpec>(zero).is_err());
    paused(async {
        let engine = undisturbed()
            .pool("gpu", units(4))
            .pool("cpu", units(9))
            .build();
        let runs = (0..4).map(|_| engine.run(&pipeline, json!(null), RunOptions::new()));
        let started = Instant::now();
        join_all(runs).await;
        assert_eq!(started.elapsed(), 20.millis());
    });
}
