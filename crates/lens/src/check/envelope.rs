//! What every record of a run has to have, and have in common with the others.

use stageflow_events::EventRecord;

use super::FindingKind;
use super::run::Complaints;
use crate::field::{outcome, text};

/// What all records of a run have in common.
#[derive(Debug)]
pub(super) struct Envelope {
    ids: [Option<String>; 9],
    at: u64,
}

const NAMES: [&str; 9] = [
    "correlation_id",
    "trace_id",
    "pipeline",
    "request_id",
    "session_id",
    "user_id",
    "org_id",
    "interaction_id",
    "parent_run_id",
];

fn ids(record: &EventRecord) -> [Option<&str>; 9] {
    [
        Some(&record.correlation_id),
        Some(&record.trace_id),
        Some(&record.pipeline),
        record.request_id.as_deref(),
        record.session_id.as_deref(),
        record.user_id.as_deref(),
        record.org_id.as_deref(),
        record.interaction_id.as_deref(),
        record.parent_run_id.as_deref(),
    ]
}

impl Envelope {
    pub(super) fn of(record: &EventRecord) -> Self {
        Self {
            ids: ids(record).map(|id| id.map(ToOwned::to_owned)),
            at: 0,
        }
    }

    /// Looks at the next record in the order of numbers.
    pub(super) fn check(&mut self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        for (name, (is, was)) in NAMES.iter().zip(ids(record).into_iter().zip(&self.ids)) {
            // What is not there is said below.
            if is != was.as_deref() && is != Some("") {
                let (is, was) = (is.unwrap_or("none"), was.as_deref().unwrap_or("none"));
                let what = format!("`{name}` is {is}, and was {was} in another record of the run");
                complaints.say(FindingKind::MixedIdentity, record, what);
            }
        }
        for name in missing(record) {
            complaints.say(
                FindingKind::MissingField,
                record,
                format!("`{}` has no `{name}`", record.kind),
            );
        }
        if record.elapsed_ns < self.at {
            let back = self.at - record.elapsed_ns;
            let what = format!(
                "`{}` is {back} ns older than the record before it",
                record.kind
            );
            complaints.say(FindingKind::TimeBackwards, record, what);
        }
        self.at = self.at.max(record.elapsed_ns);
    }
}

fn missing(record: &EventRecord) -> Vec<&'static str> {
    let kind = record.kind.as_str();
    let is_about_stage = kind.starts_with("stage.")
        || kind.starts_with("part.")
        || kind.starts_with("operation.")
        || kind.starts_with("undo.")
        || kind == "cleanup.ended";
    let is_attempt = matches!(
        kind,
        "stage.started"
            | "stage.ended"
            | "part.started"
            | "part.ended"
            | "undo.started"
            | "undo.ended"
    );
    let is_end = matches!(
        kind,
        "run.ended"
            | "stage.ended"
            | "stage.answered"
            | "part.ended"
            | "part.answered"
            | "operation.ended"
            | "cleanup.ended"
            | "undo.ended"
    );
    let is_empty = |id: &str| id.is_empty() || id.bytes().all(|digit| digit == b'0');
    let rules = [
        ("correlation_id", record.correlation_id.is_empty()),
        ("trace_id", is_empty(&record.trace_id)),
        ("span_id", is_empty(&record.span_id)),
        ("pipeline", record.pipeline.is_empty()),
        ("stage", is_about_stage && record.stage.is_none()),
        ("part", kind.starts_with("part.") && record.part.is_none()),
        ("attempt", is_attempt && record.attempt.is_none()),
        ("outcome", is_end && outcome(record).is_none()),
        (
            "because",
            kind == "stage.skipped" && text(record, "because").is_none(),
        ),
        (
            "stages",
            kind == "run.started" && record.data.get("stages").is_none(),
        ),
        ("type", kind.is_empty()),
    ];
    let missing = rules.into_iter().filter(|(_, is_missing)| *is_missing);
    missing.map(|(name, _)| name).collect()
}
