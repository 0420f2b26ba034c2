//! What a run says that ran out of time in a layer, and what layers say that cannot stand together.

use std::sync::Arc;

use stageflow::executor::EngineBuilder;
use stageflow::interceptors::{Claim, Phase};
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
    let mut samples = stacks();
    samples.push(
        Sample::of("RunError", &kind, error.code(), &error)
            .beside_a_secret()
            .names(["answer", "search", "admission"])
            .facts(["30s"]),
    );
    samples
}

/// Layers that cannot stand together.
fn stacks() -> Vec<Sample> {
    let timeout = || Timeout::attempt(30.secs());
    let twice = Engine::builder().intercept(timeout()).intercept(timeout());
    let inside = Engine::builder()
        .intercept(Gate)
        .intercept(Trace::new())
        .intercept(Cache);
    let sample = |builder: EngineBuilder, names: &[&'static str]| {
        let error = builder.try_build().unwrap_err();
        let kind = kind_name("StackErrorKind", &error.kind());
        let mut sample = Sample::of("StackError", &kind, error.code(), &error);
        sample.names = names.to_vec();
        sample
    };
    vec![
        sample(twice, &["timeout"]).facts(["room for one"]),
        sample(inside, &["gate", "cache"]).facts(["outside"]),
    ]
}

/// Must be outside everything, and sits inside.
struct Gate;

impl Hook for Gate {
    fn name(&self) -> &str {
        "gate"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    fn claim(&self) -> Claim {
        Claim::Outermost
    }
}

/// Sits outside.
struct Cache;

impl Hook for Cache {
    fn name(&self) -> &str {
        "cache"
    }

    fn phase(&self) -> Phase {
        Phase::Cache
    }
}
