//! Events as they are written down: a versioned form of their own, so that the types in memory may change.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stageflow_context::{BudgetNotice, Outcome, StageError, TraceContext};

use crate::{Event, EventKind, OperationStarted, RunHeader};

/// The version of [`EventRecord`] that this crate writes.
///
/// Version 2 has spans on every record, and what the pipeline is made of on the first of a run.
pub const VERSION: u32 = 2;

/// One event with its envelope, for a file or a queue: one line of JSON.
///
/// Readers should refuse a `version` they do not know, and ignore fields they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventRecord {
    /// The version of this form: [`VERSION`].
    pub version: u32,
    /// What happened, such as `stage.started`; for a note, the note's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The place in its run, from 0 and without gaps.
    pub seq: u64,
    /// When, in microseconds since 1970-01-01 00:00 UTC.
    pub time_us: u64,
    /// When, in nanoseconds since the run started.
    pub elapsed_ns: u64,
    /// The pipeline.
    pub pipeline: String,
    /// The run.
    pub run_id: String,
    /// What ties together everything done for one cause.
    pub correlation_id: String,
    /// The request, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The session, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The user, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The org, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The interaction, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction_id: Option<String>,
    /// The run that started this one, if a stage did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<String>,
    /// The place in that run, such as `research[3]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_stage: Option<String>,
    /// The trace.
    pub trace_id: String,
    /// The span that it belongs to: the one it opens or closes, or the one it happened in.
    pub span_id: String,
    /// The span around that, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    /// Whether whoever asked records the trace, if a `traceparent` came with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<bool>,
    /// The stage, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The place inside the stage, such as `[3]`, if it is about a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Which try of the stage, or of its part, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What else there is to say; depends on the type.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl EventRecord {
    /// The record of one event.
    #[must_use]
    pub fn new(run: &RunHeader, event: &Event) -> Self {
        let identity = run.identity();
        let kind = event.kind();
        let place = kind.place(identity);
        let mut data = data(run, kind);
        // A program may have `serde_json` keep the order in which keys came.
        data.sort_all_objects();
        Self {
            version: VERSION,
            kind: kind.name().to_owned(),
            seq: event.seq(),
            time_us: unix_micros(run.started_at() + event.at()),
            elapsed_ns: event.at().as_nanos() as u64,
            pipeline: run.pipeline().to_owned(),
            run_id: identity.run_id().to_string(),
            correlation_id: identity.correlation_id().to_string(),
            request_id: identity.request_id().map(|id| id.to_string()),
            session_id: identity.session_id().map(|id| id.to_string()),
            user_id: identity.user_id().map(|id| id.to_string()),
            org_id: identity.org_id().map(|id| id.to_string()),
            interaction_id: identity.interaction_id().map(|id| id.to_string()),
            parent_run_id: identity.parent().map(|above| above.run_id().to_string()),
            parent_stage: identity
                .parent()
                .map(|above| run.redaction().name(above.stage()).into_owned()),
            trace_id: identity.trace().to_string(),
            span_id: place.span.to_string(),
            parent_span_id: place.parent.map(|span| span.to_string()),
            sampled: run
                .trace()
                .and_then(|trace| trace.parent())
                .map(|parent| parent.flags.is_sampled()),
            stage: kind
                .stage()
                .and_then(|stage| run.stage(stage))
                .map(ToString::to_string),
            part: kind.part().map(|part| run.redaction().part(part)),
            attempt: kind.attempt(),
            data,
        }
    }

    /// A record that sinks make, of which nothing is known yet but its type and its place.
    pub(crate) fn blank(kind: &str, seq: u64) -> Self {
        Self {
            version: VERSION,
            kind: kind.to_owned(),
            seq,
            time_us: 0,
            elapsed_ns: 0,
            pipeline: String::new(),
            run_id: String::new(),
            correlation_id: String::new(),
            request_id: None,
            session_id: None,
            user_id: None,
            org_id: None,
            interaction_id: None,
            parent_run_id: None,
            parent_stage: None,
            trace_id: String::new(),
            span_id: String::new(),
            parent_span_id: None,
            sampled: None,
            stage: None,
            part: None,
            attempt: None,
            data: Value::Null,
        }
    }
}

pub(crate) fn unix_micros(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_micros() as u64
}

/// Costs in millionths, times in nanoseconds.
fn budget(run: &RunHeader, notice: &BudgetNotice) -> Value {
    let line = &notice.line;
    json!({
        "budget": run.redaction().name(&line.budget),
        "what": notice.kind.as_str(),
        "dimension": line.dimension.as_str(),
        "limit": line.limit,
        "used": line.used,
        "asked": line.asked,
    })
}

fn data(run: &RunHeader, kind: &EventKind) -> Value {
    let mut data = Map::new();
    match kind {
        EventKind::Approval(change) => {
            data.insert("approval".to_owned(), json!(change.id.to_string()));
            data.insert("path".to_owned(), json!(run.redaction().name(&change.path)));
            data.insert("state".to_owned(), json!(change.state.as_str()));
            change
                .by
                .as_ref()
                .map(|by| data.insert("by".to_owned(), json!(run.redaction().text(by))));
        }
        EventKind::Budget(notice) => return budget(run, notice),
        EventKind::CleanupEnded(ended) => {
            data.insert(
                "cleanup".to_owned(),
                json!(run.redaction().text(&ended.name)),
            );
            data.insert("outcome".to_owned(), json!(ended.outcome.as_str()));
            if let Some(error) = &ended.error {
                data.insert("error".to_owned(), json!(run.redaction().text(error)));
            }
        }
        EventKind::BlockingDetected { micros, .. } => {
            data.insert("held_us".to_owned(), json!(micros));
        }
        EventKind::Audit(notice) => {
            return run.redaction().value(notice.payload()).into_owned();
        }
        EventKind::Layer { notice, .. } => {
            return run.redaction().value(notice.payload()).into_owned();
        }
        EventKind::Note { note, .. } => {
            return run.redaction().value(note.payload()).into_owned();
        }
        EventKind::OperationEnded(ended) => {
            operation(&mut data, run, &ended.call);
            let end = &ended.end;
            data.insert("outcome".to_owned(), json!(end.outcome.as_str()));
            data.insert("usage".to_owned(), json!(end.usage));
            if let Some(error) = &end.error {
                data.insert("error".to_owned(), json!(run.redaction().text(error)));
            }
        }
        EventKind::OperationStarted(call) => operation(&mut data, run, call),
        EventKind::PartAnswered(ended) | EventKind::PartEnded(ended) => {
            ending(&mut data, run, ended.outcome, ended.error.as_ref());
        }
        EventKind::RunEnded { outcome, reason } => {
            data.insert("outcome".to_owned(), json!(outcome.as_str()));
            if let Some(reason) = reason {
                let reason = run.redaction().reason(reason);
                data.insert("reason".to_owned(), json!(reason));
            }
        }
        EventKind::StageAnswered { outcome, error, .. }
        | EventKind::StageEnded { outcome, error, .. } => {
            ending(&mut data, run, *outcome, error.as_ref());
        }
        EventKind::StageSkipped { because, .. } => {
            data.insert(
                "because".to_owned(),
                json!(run.stage(*because).map(|name| name.as_str())),
            );
        }
        EventKind::RunStarted => {
            if let Some(wiring) = run.wiring() {
                data.insert("stages".to_owned(), json!(wiring.wires()));
            }
            if let Some(trace) = run.trace() {
                came(&mut data, run, trace);
            }
            if data.is_empty() {
                return Value::Null;
            }
        }
        EventKind::UndoEnded(ended) => {
            data.insert("outcome".to_owned(), json!(ended.outcome.as_str()));
            data.insert("state".to_owned(), json!(ended.state.as_str()));
            if let Some(error) = &ended.error {
                data.insert("error".to_owned(), json!(run.redaction().text(error)));
            }
        }
        EventKind::PartStarted { .. }
        | EventKind::StageResolved { .. }
        | EventKind::StageStarted { .. }
        | EventKind::UndoStarted { .. } => return Value::Null,
    }
    Value::Object(data)
}

/// What came with the request about its trace and was not understood.
fn came(data: &mut Map<String, Value>, run: &RunHeader, trace: &TraceContext) {
    let Some(why) = trace.refused() else {
        return;
    };
    data.insert("trace_refused".to_owned(), json!(run.redaction().text(why)));
    if let Some(meant) = trace.refused_parent() {
        data.insert("trace_meant".to_owned(), json!(meant.to_string()));
    }
}

fn operation(data: &mut Map<String, Value>, run: &RunHeader, call: &OperationStarted) {
    data.insert("operation".to_owned(), json!(call.operation.kind()));
    data.insert("number".to_owned(), json!(call.number));
    data.insert(
        "name".to_owned(),
        json!(run.redaction().name(call.operation.name())),
    );
    if let Some(provider) = call.operation.provider_name() {
        data.insert("provider".to_owned(), json!(run.redaction().name(provider)));
    }
}

fn ending(
    data: &mut Map<String, Value>,
    run: &RunHeader,
    outcome: Outcome,
    error: Option<&StageError>,
) {
    data.insert("outcome".to_owned(), json!(outcome.as_str()));
    if let Some(error) = error {
        data.insert("code".to_owned(), json!(error.code()));
        data.insert("class".to_owned(), json!(error.class().to_string()));
        data.insert("error".to_owned(), json!(run.redaction().error(error)));
    }
}
