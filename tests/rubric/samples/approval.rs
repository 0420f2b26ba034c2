//! What budgets, gates and desks say.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::json;
use stageflow::context::{BudgetError, SeededIds};
use stageflow::executor::{
    ApprovalError, Approvals as _, DeskError, DeskOptions, EditCheck, EngineBuilder,
};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    [budgets(), gates(), desks()]
        .into_iter()
        .flatten()
        .collect()
}

fn budgets() -> Vec<Sample> {
    let sample = |error: &BudgetError| {
        let kind = kind_name("BudgetErrorKind", &error.kind());
        Sample::of("BudgetError", &kind, error.code(), error)
    };
    let budget = Budget::new("acme", BudgetLimits::new().tokens(1_000));
    let held = budget.reserve(Amounts::tokens(700)).unwrap();
    let exceeded = budget.reserve(Amounts::tokens(500)).unwrap_err();
    let overrun = held.settle(Amounts::tokens(1_200)).into_result();
    let mut deep = budget;
    let too_deep = loop {
        match deep.child("acme", BudgetLimits::new()) {
            Ok(child) => deep = child,
            Err(error) => break error,
        }
    };
    vec![
        sample(&exceeded)
            .names(["acme"])
            .facts(["500 tokens", "700 tokens", "1000 tokens"]),
        sample(&overrun.unwrap_err()).names(["acme"]).facts([
            "500 tokens",
            "1200 tokens",
            "1000 tokens",
        ]),
        sample(&too_deep).names(["acme"]).facts(["257", "256"]),
    ]
}

/// A value that JSON has no form for, with a secret in it.
type Odd = BTreeMap<(u8, u8), String>;

fn gates() -> Vec<Sample> {
    let sample = |error: &ApprovalError| {
        let kind = kind_name("ApprovalErrorKind", error.kind());
        Sample::of("ApprovalError", &kind, error.code(), error)
            .names(["sign"])
            .beside_a_secret()
    };
    let full = ApprovalDesk::with(DeskOptions::new().max_pending(NonZeroUsize::MIN));
    submit(&full, ID).unwrap();
    let desk = ApprovalDesk::new();
    let odd = stage_fn(async |cx: StageCx, text: Arc<String>| {
        let odd = Odd::from([((1, 2), text.to_string())]);
        cx.approve(&odd, Ask::new("Well?")).await?;
        Ok(String::clone(&text))
    });
    vec![
        sample(&at_gate(gate(), Engine::builder(), None)).facts(["desk"]),
        sample(&at_gate(gate(), Engine::builder().approvals(full), None)).facts(["1 are pending"]),
        sample(&at_gate(
            gate(),
            Engine::builder().approvals(desk.clone()),
            Some(&desk),
        ))
        .facts(["ada", "too long"]),
        sample(&at_gate(
            odd,
            Engine::builder().approvals(desk.clone()),
            None,
        ))
        .facts(["key must be a string"]),
    ]
}

fn gate() -> impl Stage<Input = Arc<String>, Output = String> {
    approval::<String>().on_reject(OnReject::Fail)
}

/// The error of a run whose one stage asks, and is turned down if there is a desk to do so.
fn at_gate(
    stage: impl Stage<Input = Arc<String>, Output = String>,
    engine: EngineBuilder,
    desk: Option<&ApprovalDesk>,
) -> ApprovalError {
    let mut p = Pipeline::builder("answer");
    let text = p.input::<String>();
    let signed = p.stage("sign", stage).after(text);
    let pipeline = p.output(signed).build().unwrap();
    let engine = engine.ids(SeededIds::new(7)).build();
    let report = paused(async {
        let run = engine.run(&pipeline, CANARY.to_owned(), RunOptions::new());
        let person = async {
            if let Some(desk) = desk {
                let id = desk.next_request().await.id;
                desk.reject(id, "too long", "ada").unwrap();
            }
        };
        tokio::join!(run, person).0
    });
    let source = report.errors()[0].source().unwrap();
    source.downcast_ref::<ApprovalError>().unwrap().clone()
}

const ID: &str = "apr_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d";
const OTHER: &str = "apr_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1e";

fn desks() -> Vec<Sample> {
    let sample = |error: DeskError, names: [&'static str; 1], facts: &[&'static str]| {
        let kind = kind_name("DeskErrorKind", error.kind());
        let sample = Sample::of("DeskError", &kind, error.code(), &error);
        Sample {
            facts: facts.to_vec(),
            ..sample.names(names).beside_a_secret()
        }
    };
    let desk = ApprovalDesk::with(DeskOptions::new().max_pending(NonZeroUsize::MIN));
    let unknown = desk.approve(ID.parse().unwrap(), "ada").unwrap_err();
    submit(&desk, ID).unwrap();
    let taken = submit(&desk, ID).unwrap_err();
    let full = submit(&desk, OTHER).unwrap_err();
    let id = ID.parse().unwrap();
    let misfit = desk.edit(id, json!(CANARY), "ada").unwrap_err();
    desk.approve(id, "ada").unwrap();
    let closed = desk.reject(id, "no", "bob").unwrap_err();
    vec![
        sample(unknown, [ID], &["not known"]),
        sample(taken, [ID], &["already"]),
        sample(full, [OTHER], &["1 are pending"]),
        sample(misfit, [ID], &["string", "u64"]),
        sample(closed, [ID], &["approved"]),
    ]
}

fn submit(desk: &ApprovalDesk, id: &str) -> Result<(), DeskError> {
    let request = json!({
        "id": id, "run": "run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d",
        "correlation": "cor_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d", "pipeline": "answer", "path": "sign",
        "title": "?", "payload": CANARY,
        "asked_at": { "secs_since_epoch": 1, "nanos_since_epoch": 0 },
    });
    let request = serde_json::from_value(request).unwrap();
    paused(desk.submit(request, EditCheck::reads_as::<u64>()))
}
