//! What a run says that ran out of time in a layer.

use std::sync::Arc;

use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

/// Waits for a turn that never comes.
struct Admission;

#[async_trait]
impl Around for Admission {
    fn name(&self) -> &str {
        "admission"
    }

    async fn around(&self, _call: &mut Call<'_>, _next: Next<'_>) -> Ending {
        std::future::pending().await
    }
}

pub(super) fn samples() -> Vec<Sample> {
    let mut p = Pipeline::builder("answer");
    let key = p.input::<String>();
    let hits = p
        .stage("search", script::ok::<Arc<String>, u64>(1))
        .after(key);
    let pipeline = p.output(hits).build().unwrap();
    let engine = Engine::builder().intercept(Admission).build();
    let options = RunOptions::new().deadline(30.secs());
    let report = paused(async { engine.run(&pipeline, CANARY.to_owned(), options).await });
    let error = report.into_output().unwrap_err();
    let kind = kind_name("RunErrorKind", error.kind());
    vec![
        Sample::of("RunError", &kind, error.code(), &error)
            .beside_a_secret()
            .names(["answer", "search", "admission"])
            .facts(["30s"]),
    ]
}
