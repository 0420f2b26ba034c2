//! A record as a line for people.

use std::fmt::Write as _;

use serde_json::Value;
use stageflow_events::EventRecord;

use crate::field::{at, text};

/// The longest a value is shown, in characters.
const LONGEST: usize = 200;

/// A record in one line for people to read: number, time since the start of the run, what happened where, and what it says.
/// Whatever it says, it is one line.
#[must_use]
pub fn line(record: &EventRecord) -> String {
    let mut line = format!(
        "#{:<4} {:>10}  {}",
        record.seq,
        format!("{:.1?}", at(record)),
        record.kind
    );
    if let Some(stage) = &record.stage {
        let _infallible = write!(
            line,
            "  {stage}{}",
            record.part.as_deref().unwrap_or_default()
        );
    }
    if let Some(attempt) = record.attempt.filter(|attempt| *attempt > 1) {
        let _infallible = write!(line, " (attempt {attempt})");
    }
    for (name, value) in said(record) {
        let _infallible = write!(line, "  {name}={value}");
    }
    flat(&line)
}

fn said(record: &EventRecord) -> Vec<(&str, String)> {
    let is_start = record.kind == "run.started";
    match &record.data {
        Value::Object(fields) if is_start => {
            let stages = fields
                .get("stages")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            vec![
                ("pipeline", record.pipeline.clone()),
                ("stages", stages.to_string()),
            ]
        }
        Value::Object(fields) => {
            // The outcome is what one looks for first.
            let outcome = text(record, "outcome").map(|outcome| ("outcome", outcome.to_owned()));
            let rest = fields.iter().filter(|(name, _)| *name != "outcome");
            let rest = rest.map(|(name, value)| (name.as_str(), shown(value)));
            outcome.into_iter().chain(rest).collect()
        }
        Value::Null => Vec::new(),
        value => vec![("data", shown(value))],
    }
}

fn shown(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned);
    crate::draw::short(&text, LONGEST)
}

/// Control characters would make several lines of one, or colour the terminal.
fn flat(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
