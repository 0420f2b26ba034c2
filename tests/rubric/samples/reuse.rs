//! What is said of digests, contracts and calls that go round.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use stageflow::graph::InputDigestError;
use stageflow::interceptors::JsonContract;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let digest = digest_error();
    let schema = json!({ "properties": { "name": { "type": "strin", "default": CANARY } } });
    let schema = JsonContract::new("person", &schema).unwrap_err();
    let mut contracts = Contracts::new();
    let refused = contracts
        .register("person", 1, json!({ "minLength": -1 }))
        .unwrap_err();
    contracts
        .register("person", 3, json!({ "default": CANARY }))
        .unwrap();
    let taken = contracts.register("person", 3, json!(true)).unwrap_err();
    let name = json!({ "properties": { "name": { "type": "number" } } });
    let name = JsonContract::new("person", &name).unwrap();
    let violations = name.check(&json!({ "name": CANARY })).unwrap_err();
    vec![
        Sample::of("Violations", "Violations", violations.code(), &violations)
            .names(["person", "/name"])
            .facts(["number"])
            .beside_a_secret(),
        Sample::of(
            "InputDigestError",
            "InputDigestError",
            digest.code(),
            &digest,
        )
        .names(["embed"])
        .facts(["not finite"])
        .beside_a_secret(),
        of_parts(),
        Sample::of("SchemaError", "SchemaError", schema.code(), &schema)
            .names(["person", "/properties/name/type"])
            .facts(["anyOf"])
            .beside_a_secret(),
        Sample::of(
            "ContractError",
            &kind_name("ContractErrorKind", taken.kind()),
            taken.code(),
            &taken,
        )
        .names(["person"])
        .facts(["3"])
        .beside_a_secret(),
        Sample::of(
            "ContractError",
            &kind_name("ContractErrorKind", refused.kind()),
            refused.code(),
            &refused,
        )
        .names(["person", "/minLength"])
        .facts(["-1"]),
    ]
}

/// A layer that asks for the digest of each input, and keeps what it is told.
#[derive(Clone, Default)]
struct Asks(Arc<Mutex<Option<InputDigestError>>>);

impl Hook for Asks {
    fn name(&self) -> &str {
        "asks"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if let Some(Err(error)) = call.input_digest() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        Flow::Pass
    }
}

fn digest_error() -> InputDigestError {
    let mut p = Pipeline::builder("index");
    let text = p.input::<String>();
    let embed = p
        .stage("embed", script::ok::<Arc<String>, u64>(1))
        .digested_by(|text: &Arc<String>| (f64::NAN, Arc::clone(text)))
        .after(text);
    let pipeline = p.output(embed).build().unwrap();
    let asks = Asks::default();
    let engine = Engine::builder().intercept(asks.clone()).build();
    let run = engine.run(&pipeline, CANARY.to_owned(), RunOptions::new());
    paused(run);
    let mut kept = asks.0.lock().unwrap_or_else(PoisonError::into_inner);
    kept.take().unwrap()
}

fn of_parts() -> Sample {
    let mut p = Pipeline::builder("index");
    let texts = p.input::<Vec<Arc<String>>>();
    let embed = p
        .stage("embed", map(script::ok::<Arc<String>, u64>(1)))
        .cached()
        .after(texts);
    let error = p.output(embed).build().unwrap_err();
    let problem = &error.problems()[0];
    let kind = kind_name("ProblemKind", problem.kind());
    Sample::with_text(
        "BuildError",
        &kind,
        Some(problem.code()),
        &problem.to_string(),
    )
    .names(["embed"])
    .facts(["part by part"])
}
