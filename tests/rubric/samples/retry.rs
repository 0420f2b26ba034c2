//! What a stage says that was tried as often as it may be.

use std::sync::Arc;

use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let mut p = Pipeline::builder("answer");
    let key = p.input::<String>();
    let stage = script::transient::<Arc<String>, u64>("connection reset");
    let stage = stage.then(script::hang()).then(script::transient("busy"));
    let hits = p.stage("search", stage).after(key);
    let pipeline = p.output(hits).build().unwrap();
    let engine = Engine::builder()
        .intercept(Retry::exponential(3))
        .intercept(Timeout::attempt(2.secs()))
        .build();
    let options = RunOptions::new();
    let report = paused(async { engine.run(&pipeline, CANARY.to_owned(), options).await });
    let error = &report.errors()[0];
    let kind = kind_name("StageErrorKind", error.kind());
    vec![
        Sample::of("StageError", &kind, error.code(), error)
            .beside_a_secret()
            .names(["search"])
            .facts(["attempt 3", "busy", "connection reset", "2s"]),
    ]
}
