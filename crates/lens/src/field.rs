//! What a record has to say beside its envelope.

use std::time::Duration;

use serde_json::Value;
use stageflow_context::Outcome;
use stageflow_events::EventRecord;

/// A text in a record's data.
pub(crate) fn text<'r>(record: &'r EventRecord, name: &str) -> Option<&'r str> {
    record.data.get(name)?.as_str()
}

/// A number in a record's data.
pub(crate) fn number(record: &EventRecord, name: &str) -> Option<u64> {
    record.data.get(name)?.as_u64()
}

/// A number one level further down.
pub(crate) fn number_in(record: &EventRecord, outer: &str, name: &str) -> Option<u64> {
    record.data.get(outer)?.get(name).and_then(Value::as_u64)
}

/// How it ended, if it says so in a word that is known.
pub(crate) fn outcome(record: &EventRecord) -> Option<Outcome> {
    Outcome::parse(text(record, "outcome")?)
}

/// When, from the start of its run.
pub(crate) fn at(record: &EventRecord) -> Duration {
    Duration::from_nanos(record.elapsed_ns)
}

/// Whether it is something that a sink says, and no event of a run.
pub(crate) fn is_marker(record: &EventRecord) -> bool {
    record.kind.starts_with("telemetry.")
}
