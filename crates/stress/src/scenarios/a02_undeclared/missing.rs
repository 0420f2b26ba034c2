//! A value that lacks what its reader requires.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use stageflow::graph::NamedPipeline;
use stageflow::prelude::*;

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Runtime};

/// What the reader requires.
#[derive(Deserialize)]
struct Order {
    id: u64,
    customer: Customer,
}

#[derive(Deserialize)]
struct Customer {
    name: String,
    age: u8,
}

/// A text that was put where a number belongs: nobody may read it in an error.
const SECRET: &str = "sk-live-7";

/// What is given, what the error must say, and whether it is good after all.
fn cases() -> Vec<(Value, &'static str)> {
    let order = |customer: Value| json!({ "id": 7, "customer": customer });
    vec![
        (json!(null), "null"),
        (json!([]), "length"),
        (json!("text"), "string"),
        (json!({}), "`id`"),
        (json!({ "id": 7 }), "`customer`"),
        (
            json!({ "id": null, "customer": { "name": "n", "age": 1 } }),
            "null",
        ),
        (
            json!({ "id": -1, "customer": { "name": "n", "age": 1 } }),
            "-1",
        ),
        (
            json!({ "id": 7.5, "customer": { "name": "n", "age": 1 } }),
            "7.5",
        ),
        (
            json!({ "id": SECRET, "customer": { "name": "n", "age": 1 } }),
            "string",
        ),
        (order(json!(null)), "null"),
        (order(json!({})), "`name`"),
        (order(json!({ "name": "n" })), "`age`"),
        (order(json!({ "name": null, "age": 1 })), "null"),
        (order(json!({ "name": "n", "age": 256 })), "256"),
        (order(json!({ "name": ["n"], "age": 1 })), "sequence"),
        (order(json!({ "Name": "n", "age": 1 })), "`name`"),
        (order(json!({ "name": "n", "age": 1 })), ""),
    ]
}

#[derive(Default)]
struct Calls {
    begun: AtomicU64,
    after: AtomicU64,
    turns: AtomicU64,
}

pub(super) fn fields(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(100);
    let calls = Arc::new(Calls::default());
    for (value, reason) in cases() {
        if lab.is_over() {
            break;
        }
        let (engine, witness) = (lab.engine().build(), lab.witness());
        let pipeline = pipeline(&value, &witness, &calls)?;
        lab.on(Runtime::Ct, async {
            for _ in 0..count {
                let before = [&calls.begun, &calls.after].map(|calls| calls.load(Ordering::SeqCst));
                let report = engine.run(&pipeline, json!(null), RunOptions::new()).await;
                let now = [&calls.begun, &calls.after].map(|calls| calls.load(Ordering::SeqCst));
                check(
                    &witness,
                    &report,
                    &value,
                    reason,
                    [now[0] - before[0], now[1] - before[1]],
                );
            }
        })?;
        lab.count_trials(count);
    }
    Ok(())
}

fn pipeline(
    value: &Value,
    witness: &Witness,
    calls: &Arc<Calls>,
) -> Result<NamedPipeline, LabError> {
    let mut p = Pipeline::by_name("missing");
    let (value, witness) = (value.clone(), witness.clone());
    let producer = stage_fn(move |_cx: StageCx, _: NamedInputs| {
        let value = value.clone();
        async move { Ok::<_, Stop>(value) }
    });
    p.stage("producer", producer).root();
    let (reader, follower) = (Arc::clone(calls), Arc::clone(calls));
    let reader = stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
        let (calls, witness) = (Arc::clone(&reader), witness.clone());
        async move {
            let order = match inputs.decode::<Order>("producer") {
                Err(_) if is_turn(&witness, &calls) => None,
                read => Some(read?),
            };
            // From here on the reader has begun: it has everything it requires.
            calls.begun.fetch_add(1, Ordering::SeqCst);
            let total = order.map_or(0, |order| {
                order.id + order.customer.name.len() as u64 + u64::from(order.customer.age)
            });
            Ok::<_, Stop>(json!(total))
        }
    });
    p.stage("reader", reader).after(["producer"]);
    let follower = stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
        let calls = Arc::clone(&follower);
        async move {
            calls.after.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Stop>(inputs.require("reader")?.clone())
        }
    });
    p.stage("follower", follower).after(["reader"]);
    p.output("follower").build().map_err(LabError::new)
}

/// The break: what is missing is read as its default.
fn is_turn(witness: &Witness, calls: &Calls) -> bool {
    witness.is_broken("default-for-missing")
        && calls.turns.fetch_add(1, Ordering::SeqCst) % 100 == 99
}

fn check(
    witness: &Witness,
    report: &RunReport<Value>,
    value: &Value,
    reason: &str,
    [begun, after]: [u64; 2],
) {
    if reason.is_empty() {
        let output = report.output();
        let sound =
            output.as_ref().is_ok_and(|output| **output == json!(9)) && [begun, after] == [1, 1];
        witness.check(
            sound,
            "a value that has everything is read",
            Breach::WrongStatus,
            || format!("{output:?}"),
        );
        return;
    }
    witness.check(
        [begun, after] == [0, 0],
        "nobody begins without what it requires",
        Breach::WrongStatus,
        || format!("{value}: the reader began {begun} times, the one behind it {after}"),
    );
    let text = report.error().map(told).unwrap_or_default();
    let names = report
        .error()
        .is_some_and(|error| error.stage().as_str() == "reader");
    witness.check(
        report.outcome() == Outcome::Failed
            && names
            && ["reader", "producer", "SF0115", reason]
                .iter()
                .all(|word| text.contains(word))
            && !text.contains(SECRET),
        "the error names who gave, who reads, and what is wrong, and quotes no text",
        Breach::MessageQuality,
        || {
            format!(
                "{value} should be about {reason}: {} {text}",
                report.outcome()
            )
        },
    );
    check_rest(witness, report, value);
}

/// What was finished is kept, and nothing was started behind it.
fn check_rest(witness: &Witness, report: &RunReport<Value>, value: &Value) {
    let kept = report
        .value_of("producer")
        .and_then(|value| value.downcast::<Value>());
    witness.check(
        kept.as_deref() == Some(value),
        "what was finished is in the report",
        Breach::Lost,
        || format!("{value}: {kept:?}"),
    );
    let started = report.stage("follower").and_then(|stage| stage.started());
    witness.check(
        started.is_none(),
        "nothing starts behind a failure",
        Breach::BrokenOrder,
        || format!("{started:?}"),
    );
}

fn told(error: &StageError) -> String {
    let sources = std::iter::successors(error.source(), |error: &&dyn Error| (*error).source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}
