//! Which stages decided how long a run took.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::graph::NamedInputs;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

use crate::support::{Lab, texts};

type Stage = Scripted<Arc<u64>, u64>;

#[tokio::test(start_paused = true)]
async fn the_critical_path_is_the_chain_of_stages_that_decided_how_long_the_run_took() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("path");
    let n = p.input::<u64>();
    let taking = |millis| Stage::taking(script::ok(1), Duration::from_millis(millis));
    let quick = p.stage("quick", taking(10)).after(n);
    let slow = p.stage("slow", taking(30)).after(n);
    let short = p.stage("short", taking(5)).after(slow);
    let long = p.stage("long", taking(50)).after(quick);
    let last = p
        .stage(
            "last",
            script::ok::<Vec<Arc<u64>>, u64>(1).taking(1.millis()),
        )
        .after(vec![short, long, slow]);
    let pipeline = p.output(last).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    let path = texts(report.critical_path());
    assert_eq!(path, ["quick", "long", "last"]);
    let sum: Duration = path
        .iter()
        .map(|name| report.stage(name).unwrap().duration())
        .sum();
    assert_eq!(
        (sum, report.duration()),
        (61.millis(), 61.millis()),
        "nothing else decided it"
    );
}

#[tokio::test(start_paused = true)]
async fn the_critical_path_is_in_order_whatever_the_order_of_declaration() {
    let step = || {
        stage_fn(async |_cx, _: NamedInputs| {
            tokio::time::sleep(5.millis()).await;
            Ok(json!(null))
        })
    };
    let mut p = Pipeline::by_name("backwards");
    p.stage("c", step()).after(["b"]);
    p.stage("a", step()).root();
    p.stage("b", step()).after(["a"]);
    let pipeline = p.build().unwrap();
    let report = Engine::new()
        .run(&pipeline, json!(null), RunOptions::new())
        .await;
    let path = texts(report.critical_path());
    assert_eq!(
        path,
        ["a", "b", "c"],
        "from a root to the one that ended last"
    );
}
