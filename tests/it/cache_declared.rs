//! How stages are declared cached: in code, by name, from data, as a route, inside another pipeline.

use std::sync::Arc;

use expect_test::expect;
use serde_json::{Value, json};
use stageflow::graph::{PipelineSpec, Registry};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::cache::{double, lone, room};
use crate::support::Lab;

#[tokio::test]
async fn stages_by_name_are_told_apart_by_all_they_can_read() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let probe = &lab.probe;
    let mut p = Pipeline::by_name("p");
    let parity =
        async |_cx: StageCx, inputs: NamedInputs| Ok(json!(inputs.decode_run_input::<u64>()? % 2));
    p.stage("parity", stage_fn(parity)).root();
    let watch = probe.clone();
    let last = move |_cx: StageCx, inputs: NamedInputs| {
        watch.enter().done();
        let value = inputs.require("parity").cloned();
        async move { value.map_err(Stop::from) }
    };
    p.stage("last", stage_fn(last)).cached().after(["parity"]);
    let pipeline = p.build().unwrap();
    let mut asked = Vec::new();
    for n in [1, 1, 3, 1] {
        let report = lab.engine.run(&pipeline, json!(n), RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &json!(1));
        asked.push(probe.calls());
    }
    // 3 has the same parity, but the stage may read the run's input, too.
    assert_eq!(asked, [1, 1, 2, 2]);
}

#[derive(Route)]
enum Way {
    Left(u64),
    Right,
}

#[tokio::test]
async fn a_route_can_be_cached_and_takes_the_same_way_again() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let watch = lab.probe.clone();
    let choose = move |_cx: StageCx, n: Arc<u64>| {
        watch.enter().done();
        let way = if *n < 10 { Way::Left(*n) } else { Way::Right };
        async move { Ok::<_, Stop>(way) }
    };
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let WayArms { left, right } = p.route("choose", stage_fn(choose)).cached().after(n);
    let l = p.stage("l", script::give(|n: Arc<u64>| Ok(*n))).after(left);
    let r = p
        .stage("r", script::give(|_: Arc<()>| Ok(0_u64)))
        .after(right);
    let out = p.merge("out", [l, r]);
    let pipeline = p.output(out).build().unwrap();
    for (n, out, calls) in [(3, 3, 1), (3, 3, 1), (12, 0, 2), (12, 0, 2)] {
        let report = lab.engine.run(&pipeline, n, RunOptions::new()).await;
        assert_eq!((report.output().unwrap(), lab.probe.calls()), (&out, calls));
    }
}

#[tokio::test]
async fn a_stage_of_an_embedded_pipeline_is_cached_under_its_name_there() {
    let cache = room(10);
    let lab = Lab::with(|builder| builder.intercept(cache.clone()));
    let inner = lone("inner", double(&lab.probe), |a| a.cached());
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let plus = p
        .stage("plus", script::give(|n: Arc<u64>| Ok(*n + 1)))
        .after(n);
    let here = p.embed("here", &inner).after(plus);
    let there = p.embed("there", &inner).after(n);
    let both = |(a, b): (Arc<String>, Arc<String>)| Ok(format!("{a} {b}"));
    let both = p.stage("both", script::give(both)).after((here, there));
    let pipeline = p.output(both).build().unwrap();
    for calls in [2, 2] {
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), "4 2");
        assert_eq!(lab.probe.calls(), calls);
    }
}

#[tokio::test]
async fn a_pipeline_from_data_says_what_is_cached_and_which_version_it_is() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let watch = lab.probe.clone();
    let mut registry = Registry::new();
    registry.add("echo", move |_: &Value| {
        let watch = watch.clone();
        Ok(stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
            watch.enter().done();
            async move { Ok::<_, Stop>(inputs.run_input().clone()) }
        }))
    });
    for (version, reuse, calls) in [
        (1, "same-input", 1),
        (1, "same-input", 1),
        (2, "same-input", 2),
        (2, "never", 3),
    ] {
        let stage = json!({ "name": "a", "run": "echo", "version": version, "reuse": reuse });
        let spec = json!({ "name": "p", "stages": [stage] });
        let spec: PipelineSpec = serde_json::from_value(spec).unwrap();
        let pipeline = spec.build(&registry).unwrap();
        let report = lab.engine.run(&pipeline, json!(1), RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &json!(1));
        assert_eq!(lab.probe.calls(), calls);
    }
}

#[test]
fn a_digest_of_what_is_called_part_by_part_is_refused() {
    let mut p = Pipeline::builder("p");
    let texts = p.input::<Vec<Arc<u64>>>();
    let each = map(script::ok::<Arc<u64>, u64>(1));
    let all = p.stage("all", each).digested().after(texts);
    let error = p.output(all).build().unwrap_err();
    expect!["SF0127: stage `all` is called part by part, so nothing asks for a digest of its whole input; leave `.cached()` and `.digested()` out, or put them at a stage before it"]
        .assert_eq(&error.problems()[0].to_string());
}
