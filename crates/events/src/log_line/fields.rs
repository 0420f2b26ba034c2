//! The fields of spans and events, as lines have them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

use crate::Redaction;

/// The ids of a line, in the order in which they are written.
const IDS: [&str; 14] = [
    "run_id",
    "correlation_id",
    "request_id",
    "session_id",
    "user_id",
    "org_id",
    "interaction_id",
    "pipeline",
    "stage",
    "part",
    "attempt",
    "trace_id",
    "span_id",
    "parent_span_id",
];

/// Who, which run, and where in it.
#[derive(Default)]
pub(super) struct Identity(Vec<(&'static str, Value)>);

impl Identity {
    fn put(&mut self, field: &Field, value: Value) {
        let id = IDS.iter().find(|id| **id == field.name());
        self.0.extend(id.map(|id| (*id, value)));
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, value)| (id, value)))
    }
}

impl Visit for Identity {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
}

/// What a line says.
pub(super) struct Told {
    redaction: Redaction,
    pub(super) message: Option<String>,
    /// Sorted, whatever order the program's JSON objects keep.
    pub(super) fields: BTreeMap<String, Value>,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new(redaction: Redaction) -> Self {
        Self {
            redaction,
            message: None,
            fields: BTreeMap::new(),
        }
    }

    /// Takes the ids out of the fields.
    pub(super) fn take_identity(&mut self) -> Identity {
        let taken = IDS
            .iter()
            .filter_map(|id| Some((*id, self.fields.remove(*id)?)));
        Identity(taken.collect())
    }

    fn text(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            self.message = Some(cut(self.redaction.text(text).into_owned()));
        } else {
            self.put(field, Value::String(text.to_owned()));
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        // As in a record: what stands under the name of a secret is one.
        let mut one = Map::new();
        one.insert(field.name().to_owned(), value);
        if let Value::Object(left) = self.redaction.value(&Value::Object(one)).into_owned() {
            let left = left.into_iter().map(|(name, value)| match value {
                Value::String(text) => (name, Value::String(cut(text))),
                value => (name, value),
            });
            self.fields.extend(left);
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = String::new();
        let mut next = Some(value);
        while let Some(error) = next {
            let colon = if text.is_empty() { "" } else { ": " };
            // Writing to a string does not fail.
            let _written = write!(text, "{colon}{error}");
            next = error.source();
        }
        self.text(field, &text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = || Value::String(value.to_string());
        self.put(
            field,
            serde_json::Number::from_f64(value).map_or_else(text, Value::Number),
        );
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
}

/// Cuts a text that is too long for a line.
fn cut(mut text: String) -> String {
    const MOST: usize = 16 * 1024;
    if text.len() > MOST {
        let end = text.floor_char_boundary(MOST);
        let left = text.len() - end;
        text.truncate(end);
        // Writing to a string does not fail.
        let _written = write!(text, "... [{left} bytes more]");
    }
    text
}
