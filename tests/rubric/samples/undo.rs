//! What is said of records that do not tell what is left to undo.

use serde_json::json;
use stageflow::events::{EventRecord, UndoPlan};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let sample = |records: &[EventRecord], fact| {
        let error = UndoPlan::from_records("run_7", records).unwrap_err();
        let kind = kind_name("UndoPlanErrorKind", &error.kind());
        let sample = Sample::of("UndoPlanError", &kind, error.code(), &error);
        sample.names(["run_7"]).facts([fact]).beside_a_secret()
    };
    let start = record("run.started", 0);
    vec![
        sample(&[record("stage.started", 0)], "run.started"),
        sample(&[start.clone(), record("stage.started", 2)], "number 1"),
        sample(&[start, record("undo.ended", 1)], "number 1"),
    ]
}

fn record(kind: &str, seq: u64) -> EventRecord {
    let value = json!({
        "version": 2, "type": kind, "seq": seq, "time_us": 0, "elapsed_ns": 0, "pipeline": "answer", "run_id": "run_7",
        "correlation_id": "cause", "trace_id": "trace", "span_id": "span", "data": { "key": CANARY },
    });
    serde_json::from_value(value).unwrap()
}
