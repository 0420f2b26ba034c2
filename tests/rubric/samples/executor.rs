//! What a run without an output says.

use std::sync::Arc;

use stageflow::executor::RunError;
use stageflow::interceptors::{Call, Flow};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use super::{CANARY, Sample, kind_name};

type Make = fn() -> Scripted<Arc<String>, u64>;

pub(super) fn samples() -> Vec<Sample> {
    let stages: [(Make, &[&'static str]); 5] = [
        (|| script::fail("no such index"), &["no such index"]),
        (|| script::cancel("the user left"), &["the user left"]),
        (script::hang, &["30s"]),
        (|| script::skip("no documents"), &["no documents"]),
        (|| script::ok(1), &["policy", "closed on Sundays"]),
    ];
    let mut samples: Vec<Sample> = stages
        .into_iter()
        .map(|(make, facts)| {
            let error = end_of(make, None);
            let at: &[&'static str] = match error.code() {
                "SF0403" => &["answer"],
                "SF0404" => &["answer", "write"],
                _ => &["answer", "search"],
            };
            Sample {
                names: at.to_vec(),
                facts: facts.to_vec(),
                ..sample(&error)
            }
        })
        .collect();
    let asked = end_of(script::hang, Some("the client hung up"));
    samples.push(
        sample(&asked)
            .names(["answer"])
            .facts(["the client hung up"]),
    );
    samples
}

fn sample(error: &RunError) -> Sample {
    let kind = kind_name("RunErrorKind", error.kind());
    Sample::of("RunError", &kind, error.code(), error).beside_a_secret()
}

/// The error of a run whose first stage is this one, and that may be told to stop.
fn end_of(make: Make, cancel: Option<&'static str>) -> RunError {
    let mut p = Pipeline::builder("answer");
    let key = p.input::<String>();
    let hits = p.stage("search", make()).after(key);
    let written = p
        .stage("write", script::ok::<Arc<u64>, u64>(1))
        .kind(StageKind::Work)
        .after(hits);
    let pipeline = p.output(written).build().unwrap();
    let engine = Engine::builder().intercept(Closed).build();
    let options = RunOptions::new().deadline(30.secs());
    let report = paused(async {
        let run = engine.run(&pipeline, CANARY.to_owned(), options);
        if let Some(reason) = cancel {
            run.handle().cancel(reason);
        }
        run.await
    });
    report.into_output().unwrap_err()
}

/// Refuses whatever changes the world.
struct Closed;

impl Hook for Closed {
    fn name(&self) -> &str {
        "policy"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        match call.kind() {
            StageKind::Work => Flow::Deny(call.denied("policy", "closed on Sundays")),
            _ => Flow::Continue,
        }
    }
}
