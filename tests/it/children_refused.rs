//! Runs that cannot be started.

use std::sync::{Arc, Mutex};

use expect_test::expect;
use stageflow::executor::ChildErrorKind;
use stageflow::interceptors::{Call, Ending, Flow};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::children::of;
use crate::support::{Lab, cleanups};

/// A stage that runs `child` and gives what it gives, plus one.
fn calls(child: &Pipeline<u64, u64>) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let child = child.clone();
    stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = child.clone();
        async move { Ok(*cx.run(&child, n).await? + 1) }
    })
}

#[tokio::test]
async fn a_run_may_stand_as_deep_as_the_engine_allows_and_no_deeper() {
    let engine = Engine::builder().max_depth(3.try_into().unwrap()).build();
    let mut pipeline = of("bottom", script::ok::<Arc<u64>, u64>(0));
    for depth in 0..5_u64 {
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        if depth <= 3 {
            assert_eq!(report.output().unwrap(), &depth);
        } else {
            let error = report.error().unwrap().to_string();
            let what = "SF0406: stage `s` cannot run pipeline `bottom`: its run is at depth 3, and 3 is the most";
            assert!(error.contains(what), "{error}");
        }
        pipeline = of("above", calls(&pipeline));
    }
}

#[tokio::test]
async fn whatever_an_engine_allows_there_is_a_greatest_depth() {
    let engine = Engine::builder()
        .max_depth(1000.try_into().unwrap())
        .build();
    let mut pipeline = of("bottom", script::ok::<Arc<u64>, u64>(0));
    for _ in 0..=RunIdentity::MAX_DEPTH {
        pipeline = of("above", calls(&pipeline));
    }
    let report = engine.run(&pipeline, 1, RunOptions::new()).await;
    let error = report.error().unwrap().to_string();
    assert!(error.contains("at depth 64, and 64 is the most"), "{error}");
}

#[tokio::test]
async fn a_cleanup_cannot_start_a_run() {
    let lab = Lab::new();
    let child = of(
        "child",
        script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe),
    );
    let refused = Arc::new(Mutex::new(None));
    let says = Arc::clone(&refused);
    let parent = of(
        "parent",
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let (late, child, says) = (cx.clone(), child.clone(), Arc::clone(&says));
            cx.on_cleanup("late", async move || {
                let error = late.run(&child, 1_u64).report().await.unwrap_err();
                *says.lock().unwrap() = Some(error);
            });
            async move { Ok(*n) }
        }),
    );
    let report = lab.engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(cleanups(&report), ["late succeeded"]);
    let error = refused.lock().unwrap().take().unwrap();
    assert_eq!(
        (error.kind(), error.code(), error.path()),
        (&ChildErrorKind::RunOver, "SF0408", "s")
    );
    assert_eq!(lab.probe.calls(), 0);
    lab.assert_nothing_left().await;
}
#[tokio::test]
async fn every_way_not_to_start_a_run_says_what_to_do() {
    let child = of("child", script::ok::<Arc<u64>, u64>(1));
    let cx = crate::bare::cx("alone");
    let error = cx.run(&child, 1_u64).report().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (&ChildErrorKind::NoEngine, "SF0407")
    );
    expect!["SF0407: stage `alone` cannot run pipeline `child`: its context was made without an engine; run the stage in a pipeline of its own, with `Engine::run`"].assert_eq(&error.to_string());

    let kept = Engine::builder().intercept(KeepAll::default()).build();
    let report = kept
        .run(&of("parent", by_value(&child)), 1, RunOptions::new())
        .await;
    expect!["SF0311: stage `s` cannot take the output of pipeline `child` for itself: a layer or another task holds it as well; take the shared value with `cx.run(..)`"].assert_eq(&cause(report.error().unwrap()));

    let shallow = Engine::builder().max_depth(1.try_into().unwrap()).build();
    let deep = of("parent", calls(&of("between", calls(&child))));
    let report = shallow.run(&deep, 1, RunOptions::new()).await;
    expect!["SF0406: stage `s` cannot run pipeline `child`: its run is at depth 1, and 1 is the most; find the pipeline that runs itself, or raise `EngineBuilder::max_depth`"].assert_eq(&cause(report.error().unwrap()));
}

/// The last of the causes.
fn cause(error: &StageError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// The pipeline as a stage, asked for the value by itself.
fn by_value(child: &Pipeline<u64, u64>) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let child = child.clone();
    stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = sub(&child);
        async move { Stage::run(&child, cx, n).await }
    })
}

/// Keeps whatever stages give.
#[derive(Default)]
struct KeepAll(Mutex<Vec<stageflow::context::DynValue>>);

impl Hook for KeepAll {
    fn name(&self) -> &str {
        "keep"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        Flow::Continue
    }

    fn exit(&self, _: &mut Call<'_>, ending: &mut Ending) {
        if let Ending::Succeeded(value) = ending {
            self.0.lock().unwrap().push(value.clone());
        }
    }
}
