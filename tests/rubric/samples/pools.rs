//! What is said of pools: when a pipeline is built, and when an engine cannot run it.

use std::error::Error as _;
use std::num::NonZeroU32;

use stageflow::executor::{PoolError, RunError};
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = built();
    for (pool, units, facts) in [("gpus", 1, &["gpus", "gpu"]), ("gpu", 9, &["9", "2"])] {
        let (run, pool) = refused(pool, units);
        let kind = kind_name("RunErrorKind", run.kind());
        let run = Sample::of("RunError", &kind, run.code(), &run).names(["index", "embed"]);
        samples.push(run.facts(*facts).beside_a_secret());
        let kind = kind_name("PoolErrorKind", pool.kind());
        let pool = Sample::of("PoolError", &kind, pool.code(), &pool).names(["embed"]);
        samples.push(pool.facts(*facts).beside_a_secret());
    }
    samples
}

fn built() -> Vec<Sample> {
    let mut p = Pipeline::builder("index");
    let text = p.input::<String>();
    let one = NonZeroU32::MIN;
    let a = p
        .stage("embed", script::ok(1_u64))
        .pool("my gpu", one)
        .after(text);
    let b = p
        .stage("store", script::ok(1_u64))
        .pool("gpu", one)
        .pool("gpu", one)
        .after(a);
    let error = p.output(b).build().unwrap_err();
    let facts = [(["embed"], ["my gpu"]), (["store"], ["gpu"])];
    let problems = error.problems().iter().zip(facts);
    problems
        .map(|(problem, (names, facts))| {
            let kind = kind_name("ProblemKind", problem.kind());
            let (code, text) = (Some(problem.code()), problem.to_string());
            Sample::with_text("BuildError", &kind, code, &text)
                .names(names)
                .facts(facts)
        })
        .collect()
}

/// What a run says whose stage takes these units, and the cause of it.
fn refused(pool: &str, units: u32) -> (RunError, PoolError) {
    let mut p = Pipeline::builder("index");
    let text = p.input::<String>();
    let units = NonZeroU32::new(units).unwrap();
    let a = p
        .stage("embed", script::ok(1_u64))
        .pool(pool, units)
        .after(text);
    let pipeline = p.output(a).build().unwrap();
    let engine = Engine::builder()
        .pool("gpu", NonZeroU32::new(2).unwrap())
        .build();
    let run = engine.run(&pipeline, CANARY.to_owned(), RunOptions::new());
    let error = paused(run).into_output().unwrap_err();
    let cause: &PoolError = error.source().unwrap().downcast_ref().unwrap();
    let cause = cause.clone();
    (error, cause)
}
