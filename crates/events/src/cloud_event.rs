//! Records as `CloudEvents` 1.0, for tools that know that form.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::EventRecord;
use crate::rfc3339;

/// What a path segment of a URI may hold as it is (RFC 3986, `unreserved`).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const SOURCE: &str = "/stageflow/";
/// What types begin with.
pub(crate) const TYPE: &str = "dev.stageflow.";

/// An event in the JSON form of [`CloudEvents`](https://github.com/cloudevents/spec) 1.0, with what has no place in that
/// specification as extension attributes. Nothing is lost on the way: [`CloudEvent::to_record`] gives the record back.
///
/// ```
/// use stageflow_events::{CloudEvent, EventRecord};
///
/// let record: EventRecord = serde_json::from_value(serde_json::json!({
///     "version": 2, "type": "stage.started", "seq": 3, "time_us": 1_700_000_000_000_000_u64, "elapsed_ns": 2_500,
///     "pipeline": "answer", "run_id": "run_1", "correlation_id": "cor_1", "stage": "load", "attempt": 1,
///     "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
/// }))?;
/// let event = CloudEvent::from(&record);
///
/// assert_eq!(event.id, "run_1/3");
/// assert_eq!(event.source, "/stageflow/answer");
/// assert_eq!(event.kind, "dev.stageflow.stage.started");
/// assert_eq!(event.time, "2023-11-14T22:13:20.000000Z");
/// assert_eq!(event.to_record(), Some(record));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloudEvent {
    /// The version of the specification: `1.0`.
    pub specversion: String,
    /// `<run id>/<seq>`: with `source`, one for each event.
    pub id: String,
    /// `/stageflow/<pipeline>`, percent-encoded.
    pub source: String,
    /// `dev.stageflow.` and the event's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The path of the stage, such as `research[3]`, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When, to the microsecond (RFC 3339, UTC). What is later than the year 9999 is written as its last moment.
    pub time: String,
    /// `application/json`.
    pub datacontenttype: String,
    /// The version of the record.
    pub wireversion: u32,
    /// The place in its run: the `sequence` of the Sequence extension.
    pub sequence: String,
    /// In nanoseconds since the run started.
    pub elapsedns: String,
    /// The run.
    pub runid: String,
    /// What ties together everything done for one cause.
    pub correlationid: String,
    /// The request, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requestid: Option<String>,
    /// The session, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessionid: Option<String>,
    /// The user, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userid: Option<String>,
    /// The org, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orgid: Option<String>,
    /// The interaction, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactionid: Option<String>,
    /// The run that started this one, if a stage did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parentrunid: Option<String>,
    /// The place in that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parentstage: Option<String>,
    /// Trace and span, as the Distributed Tracing extension has them. Left out if they are not of that form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The trace.
    pub traceid: String,
    /// The span.
    pub spanid: String,
    /// The span around that, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parentspanid: Option<String>,
    /// Whether whoever asked records the trace, if that came with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<bool>,
    /// The stage, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The place inside the stage, if it is about a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Which try, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl From<&EventRecord> for CloudEvent {
    fn from(record: &EventRecord) -> Self {
        let pipeline = utf8_percent_encode(&record.pipeline, ENCODED);
        let part = record.part.as_deref().unwrap_or_default();
        Self {
            specversion: "1.0".to_owned(),
            id: format!("{}/{}", record.run_id, record.seq),
            source: format!("{SOURCE}{pipeline}"),
            kind: format!("{TYPE}{}", record.kind),
            subject: record.stage.as_ref().map(|stage| format!("{stage}{part}")),
            time: rfc3339::format(record.time_us),
            datacontenttype: "application/json".to_owned(),
            wireversion: record.version,
            sequence: record.seq.to_string(),
            elapsedns: record.elapsed_ns.to_string(),
            runid: record.run_id.clone(),
            correlationid: record.correlation_id.clone(),
            requestid: record.request_id.clone(),
            sessionid: record.session_id.clone(),
            userid: record.user_id.clone(),
            orgid: record.org_id.clone(),
            interactionid: record.interaction_id.clone(),
            parentrunid: record.parent_run_id.clone(),
            parentstage: record.parent_stage.clone(),
            traceparent: traceparent(record),
            traceid: record.trace_id.clone(),
            spanid: record.span_id.clone(),
            parentspanid: record.parent_span_id.clone(),
            sampled: record.sampled,
            stage: record.stage.clone(),
            part: record.part.clone(),
            attempt: record.attempt,
            data: record.data.clone(),
        }
    }
}

impl CloudEvent {
    /// The record that it was made of. `None` if it was made of something else.
    #[must_use]
    pub fn to_record(&self) -> Option<EventRecord> {
        let pipeline = percent_decode_str(self.source.strip_prefix(SOURCE)?);
        Some(EventRecord {
            version: self.wireversion,
            kind: self.kind.strip_prefix(TYPE)?.to_owned(),
            seq: self.sequence.parse().ok()?,
            time_us: rfc3339::parse(&self.time)?,
            elapsed_ns: self.elapsedns.parse().ok()?,
            pipeline: pipeline.decode_utf8().ok()?.into_owned(),
            run_id: self.runid.clone(),
            correlation_id: self.correlationid.clone(),
            request_id: self.requestid.clone(),
            session_id: self.sessionid.clone(),
            user_id: self.userid.clone(),
            org_id: self.orgid.clone(),
            interaction_id: self.interactionid.clone(),
            parent_run_id: self.parentrunid.clone(),
            parent_stage: self.parentstage.clone(),
            trace_id: self.traceid.clone(),
            span_id: self.spanid.clone(),
            parent_span_id: self.parentspanid.clone(),
            sampled: self.sampled,
            stage: self.stage.clone(),
            part: self.part.clone(),
            attempt: self.attempt,
            data: self.data.clone(),
        })
    }
}

fn traceparent(record: &EventRecord) -> Option<String> {
    let is_hex = |text: &str, digits| {
        let of_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == digits && text.bytes().all(of_hex)
    };
    let well_formed = is_hex(&record.trace_id, 32) && is_hex(&record.span_id, 16);
    let flags = u8::from(record.sampled.unwrap_or(true));
    well_formed.then(|| format!("00-{}-{}-{flags:02x}", record.trace_id, record.span_id))
}
