//! Log records: each event is one.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use crate::Content;
use crate::attributes::{Attributes, Holder};
use crate::request::Items;
use crate::said::{Said, is_error};
use crate::semconv;
use crate::spans::{details, operation, usage};

/// Writes the log record of an event.
pub(crate) fn log(said: &Said, is_sampled: bool, content: Content, out: &mut Items) {
    let mut attributes = Attributes::many(Holder::Log);
    said.identity(&mut attributes);
    attributes.number(semconv::SEQ, said.record.seq);
    said.place(&mut attributes);
    said.attempt(&mut attributes);
    said.ending(&mut attributes);
    if said.kind().starts_with("operation.") {
        operation(said, &mut attributes);
        usage(said, &mut attributes);
    }
    details(said, content, &mut attributes);
    let severity = severity(said);
    let text = match severity {
        SeverityNumber::Debug => "DEBUG",
        SeverityNumber::Info => "INFO",
        SeverityNumber::Warn => "WARN",
        _ => "ERROR",
    };
    let record = LogRecord {
        time_unix_nano: said.at(),
        observed_time_unix_nano: said.at(),
        severity_number: severity.into(),
        severity_text: text.to_owned(),
        body: Some(AnyValue {
            value: Some(Any::StringValue(said.kind().to_owned())),
        }),
        flags: is_sampled.into(),
        trace_id: said.trace.to_vec(),
        span_id: said.span.to_vec(),
        event_name: said.kind().to_owned(),
        ..LogRecord::default()
    };
    out.push(&record, &[attributes.as_bytes()]);
}

/// Starts and notes are for looking closely, ends for following; what went wrong stands out, a run that did most.
fn severity(said: &Said) -> SeverityNumber {
    let went_wrong = said.outcome().is_some_and(is_error);
    match said.kind() {
        "run.ended" if went_wrong => SeverityNumber::Error,
        _ if went_wrong => SeverityNumber::Warn,
        "stage.blocking_detected" | "telemetry.dropped" => SeverityNumber::Warn,
        kind if kind.starts_with("budget.") => SeverityNumber::Warn,
        "run.ended" | "stage.ended" | "stage.answered" | "stage.skipped" => SeverityNumber::Info,
        kind if kind.starts_with("approval.") => SeverityNumber::Info,
        _ => SeverityNumber::Debug,
    }
}
