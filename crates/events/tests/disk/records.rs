//! Records to write.

use serde_json::{Value, json};
use stageflow_events::EventRecord;

/// The `seq`th record of its run, of this type.
pub(crate) fn record(kind: &str, seq: u64, data: &Value) -> EventRecord {
    let value = json!({
        "version": 2,
        "type": kind,
        "seq": seq,
        "time_us": 1_700_000_000_000_000_u64.saturating_add(seq),
        "elapsed_ns": seq.saturating_mul(1000),
        "pipeline": "answer",
        "run_id": "run_1",
        "correlation_id": "cor_1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "stage": "load",
        "data": data,
    });
    serde_json::from_value(value).unwrap()
}
