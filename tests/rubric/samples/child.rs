//! What a stage meets that cannot run a pipeline.

use std::sync::{Arc, Mutex};

use stageflow::context::DynValue;
use stageflow::executor::ChildError;
use stageflow::interceptors::{Call, Flow};
use stageflow::prelude::*;
use stageflow_testkit::script;

use super::{CANARY, Sample, kind_name};
use crate::{bare, block_on};

pub(super) fn samples() -> Vec<Sample> {
    vec![
        sample(&no_engine()).facts(["without an engine"]),
        sample(&run_over()).facts(["have ended"]),
        sample(&too_deep()).facts(["at depth 1", "1 is the most"]),
        sample(&output_kept()).facts(["the output", "holds it as well"]),
    ]
}

fn sample(error: &ChildError) -> Sample {
    let kind = kind_name("ChildErrorKind", error.kind());
    Sample::of("ChildError", &kind, error.code(), error)
        .names(["research", "search"])
        .beside_a_secret()
}

/// The pipeline that is to be run.
fn search() -> Pipeline<String, u64> {
    let mut p = Pipeline::builder("search");
    let key = p.input::<String>();
    let hits = p
        .stage("find", script::ok::<Arc<String>, u64>(1))
        .after(key);
    p.output(hits).build().unwrap()
}

fn no_engine() -> ChildError {
    let cx = bare::cx("research");
    block_on(cx.run(&search(), CANARY.to_owned()).report()).unwrap_err()
}

/// Runs the pipeline in the stage `research` of a run of this engine, and what happens there.
fn research<Fut: Future<Output = Result<u64, Stop>> + Send + 'static>(
    engine: &Engine,
    body: impl Fn(StageCx) -> Fut + Send + Sync + 'static,
) -> RunReport<u64> {
    let mut p = Pipeline::builder("answer");
    let key = p.input::<String>();
    let stage = stage_fn(move |cx: StageCx, _: Arc<String>| body(cx));
    let research = p.stage("research", stage).after(key);
    let pipeline = p.output(research).build().unwrap();
    block_on(engine.run(&pipeline, CANARY.to_owned(), RunOptions::new()))
}

fn run_over() -> ChildError {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    research(&Engine::new(), move |cx| {
        let (late, keep) = (cx.clone(), Arc::clone(&keep));
        cx.on_cleanup("late", async move || {
            let report = late.run(&search(), CANARY.to_owned()).report().await;
            *keep.lock().unwrap() = report.err();
        });
        async { Ok(1) }
    });
    kept.lock().unwrap().take().unwrap()
}

fn too_deep() -> ChildError {
    let engine = Engine::builder().max_depth(1.try_into().unwrap()).build();
    let mut p = Pipeline::builder("inner");
    let key = p.input::<String>();
    let hits = p.stage("research", sub(&search())).after(key);
    let inner = p.output(hits).build().unwrap();
    let report = research(&engine, move |cx| {
        let inner = inner.clone();
        async move { Ok(*cx.run(&inner, CANARY.to_owned()).await?) }
    });
    found(report.error().unwrap())
}

/// Keeps every value.
struct Keep(Mutex<Vec<DynValue>>);

impl Hook for Keep {
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

fn output_kept() -> ChildError {
    let engine = Engine::builder().intercept(Keep(Mutex::default())).build();
    let report = research(&engine, |cx| async move {
        Stage::run(&sub(&search()), cx, Arc::new(CANARY.to_owned())).await
    });
    found(report.error().unwrap())
}

/// The one among the causes.
fn found(error: &StageError) -> ChildError {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<ChildError>() {
            return found.clone();
        }
        cause = error.source();
    }
    panic!("{error}");
}
