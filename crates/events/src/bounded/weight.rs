//! What an event weighs: worked out, not measured.

use serde_json::Value;

use crate::{Event, EventKind};

/// What an event weighs without what a stage put into it.
const BARE: usize = 128;

/// About as many bytes as the event takes in memory.
pub(super) fn of(event: &Event) -> usize {
    match event.kind() {
        EventKind::Note { note, .. } => BARE + note.name().len() + of_value(note.payload()),
        _ => BARE,
    }
}

fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(of_value).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + of_value(value))
            .sum(),
    };
    size_of::<Value>() + inside
}
