//! Pipelines made of pipelines.

use std::sync::Arc;

use serde_json::Value;
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::{Lab, cleanups, outcomes, texts, watched};

/// Adds one, then doubles.
fn inner(lab: &Lab) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("inner");
    let n = p.input::<u64>();
    let tidying = lab.tidying.clone();
    let add = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, &format!("{}", cx.stage()));
        async move { Ok(*n + 1) }
    });
    let add = p.stage("add", add).after(n);
    let double = p
        .stage("double", stage_fn(async |_cx, n: Arc<u64>| Ok(*n * 2)))
        .spawn()
        .after(add);
    p.output(double).build().unwrap()
}

#[tokio::test]
async fn a_pipeline_twice_under_different_prefixes_is_two_sets_of_stages_in_one_run() {
    let lab = Lab::new();
    let inner = inner(&lab);
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let left = p.embed("left", &inner).after(n);
    let right = p.embed("right", &inner).after(left);
    let pipeline = p.output(right).build().unwrap();
    assert_eq!(
        texts(pipeline.plan().names().iter()),
        ["left/add", "left/double", "right/add", "right/double"]
    );
    let report = lab.engine.run(&pipeline, 5, RunOptions::new()).await;
    assert_eq!(
        (report.output().unwrap(), report.value(left).as_deref()),
        (&26, Some(&12))
    );
    assert_eq!(
        cleanups(&report),
        ["right/add succeeded", "left/add succeeded"]
    );
    assert_eq!(
        lab.assert_nothing_left()
            .await
            .iter()
            .filter(|line| line.starts_with("run "))
            .count(),
        2
    );
    let alone = lab.engine.run(&inner, 5, RunOptions::new()).await;
    assert_eq!(
        alone.output().unwrap(),
        &12,
        "the embedded pipeline is as good as before"
    );
}

#[tokio::test]
async fn pipelines_nest() {
    let lab = Lab::new();
    let inner = inner(&lab);
    let mut middle = Pipeline::builder("middle");
    let n = middle.input::<u64>();
    let once = middle.embed("in", &inner).after(n);
    let twice = middle.embed("again", &inner).after(once);
    let middle = middle.output(twice).build().unwrap();
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let a = p.embed("a", &middle).after(n);
    let b = p.embed("b", &middle).after(n);
    let sum = p
        .stage(
            "sum",
            stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b)),
        )
        .after((a, b));
    let pipeline = p.output(sum).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &20);
    assert_eq!(outcomes(&report)[0], "a/in/add succeeded");
    assert_eq!(pipeline.plan().len(), 9);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn beside_runs_two_pipelines_on_one_input() {
    let lab = Lab::new();
    let left = inner(&lab);
    let mut p = Pipeline::builder("text");
    let n = p.input::<u64>();
    let text = p
        .stage("text", stage_fn(async |_cx, n: Arc<u64>| Ok(n.to_string())))
        .after(n);
    let right = p.output(text).build().unwrap();
    let both = left.beside("both", &right).unwrap();
    let report = lab.engine.run(&both, 5, RunOptions::new()).await;
    let (number, text) = report.output().unwrap();
    assert_eq!((**number, text.as_str()), (12, "5"));
    assert_eq!(outcomes(&report)[2], "text/text succeeded");
    let error = left.beside("twice", &left).unwrap_err();
    assert_eq!(error.code(), "SF0103", "{error}");
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_failure_deep_inside_names_its_whole_path() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("inner");
    let n = p.input::<u64>();
    let bad = p.stage("bad", script::fail::<Arc<u64>, u64>("no")).after(n);
    let inner = p.output(bad).build().unwrap();
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let a = p.embed("deep", &inner).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 5, RunOptions::new()).await;
    assert!(
        report
            .output()
            .unwrap_err()
            .to_string()
            .contains("pipeline `outer` failed: SF0301: stage `deep/bad` failed: no")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_run_inside_a_stage_is_stopped_with_it() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("child");
    let n = p.input::<u64>();
    let tidying = lab.tidying.clone();
    let hang = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
        tidying.add(&cx, "child");
        std::future::pending::<Result<u64, Stop>>()
    });
    let hang = p.stage("hang", hang).after(n);
    let child = p.output(hang).build().unwrap();
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let engine = lab.engine.clone();
    let start = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        let (engine, child) = (engine.clone(), child.clone());
        async move {
            Ok::<_, Stop>(
                *engine
                    .run(&child, *n, RunOptions::new())
                    .await
                    .into_output()?,
            )
        }
    });
    let start = p.stage("start", start).after(n);
    let parent = p.output(start).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&parent, 5, RunOptions::new()));
    assert!(futures_util::poll!(&mut run).is_pending());
    assert_eq!(lab.probe.live(), 1);
    run.handle().cancel("enough");
    assert_eq!(run.await.outcome(), Outcome::Cancelled);
    assert_eq!(lab.probe.live(), 0);
    lab.engine.settled().await;
    lab.assert_nothing_left().await;
}

#[test]
fn everything_that_is_wrong_with_a_typed_pipeline_is_said_at_once() {
    let mut other = Pipeline::builder::<u64>("other");
    let theirs = other.input::<u64>();
    let mut p = Pipeline::builder("typed");
    let n = p.input::<u64>();
    let a = p
        .stage("a a", script::ok::<Arc<u64>, u64>(1))
        .timeout(0.secs())
        .after(n);
    p.stage("b", script::ok::<Arc<u64>, u64>(1)).after(a);
    p.stage("b", script::ok::<Arc<u64>, u64>(1)).after(theirs);
    let error = p.output(theirs).build().unwrap_err();
    let mut codes: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.code())
        .collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        ["SF0102", "SF0103", "SF0106", "SF0106", "SF0112"],
        "{error}"
    );
}

#[test]
fn problems_of_a_typed_pipeline_say_what_to_do() {
    use expect_test::expect;
    let mut other = Pipeline::builder::<u64>("other");
    let theirs = other.input::<u64>();
    let mut p = Pipeline::builder("typed");
    let n = p.input::<u64>();
    p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(theirs);
    let wired = p.output(n).build().unwrap_err();
    let empty = {
        let mut p = Pipeline::builder("empty");
        let n = p.input::<u64>();
        p.output(n).build().unwrap_err()
    };
    let own_input = {
        let mut p = Pipeline::builder("echo");
        let n = p.input::<u64>();
        p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
        p.output(n).build().unwrap_err()
    };
    expect![[r#"
        SF0106: stage `a` of pipeline `typed` is wired to a handle of another builder; use handles of this one, or `embed` the other pipeline
        SF0101: pipeline `empty` has no stage; add one with `.stage(name, stage)`
        SF0106: the output of pipeline `echo` is a handle of another builder, or its own input; give a handle of one of its stages
    "#]].assert_eq(&(texts([wired, empty, own_input]).join("\n") + "\n"));
}

#[tokio::test]
async fn a_stage_may_take_the_same_handle_twice_and_many_handles_at_once() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("wide");
    let n = p.input::<u64>();
    let all: Vec<_> = (0..50)
        .map(|i| {
            p.stage(format!("s{i}"), script::ok::<Arc<u64>, u64>(i))
                .after(n)
        })
        .collect();
    let sum = |_cx: StageCx, all: Vec<Arc<u64>>| async move {
        Ok::<u64, Stop>(all.iter().map(|n| **n).sum())
    };
    let sum = p.stage("sum", stage_fn(sum)).after(all);
    let twice = p
        .stage(
            "twice",
            stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b)),
        )
        .after((sum, sum));
    let none = p
        .stage(
            "none",
            stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
        )
        .after(Vec::new());
    let text = p.stage(
        "text",
        stage_fn(async |_cx, (a, (b,)): (Arc<u64>, (Arc<usize>,))| Ok(format!("{a} {b}"))),
    );
    let text = text.after((twice, (none,)));
    let pipeline = p.output(text).build().unwrap();
    assert_eq!(
        lab.engine
            .run(&pipeline, 1, RunOptions::new())
            .await
            .output()
            .unwrap(),
        "2450 0"
    );
    lab.assert_nothing_left().await;
}

#[test]
fn a_pipeline_of_values_can_be_named_by_its_types() {
    fn takes(_: &Pipeline<u64, Option<String>>) {}
    let mut p = Pipeline::builder("typed");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::ok::<Arc<u64>, String>("a".to_owned()))
        .optional()
        .after(n);
    takes(&p.output(a).build().unwrap());
    let by_name: Result<Pipeline<Value, Value>, _> = Pipeline::by_name("none").build();
    assert!(by_name.is_err());
}
