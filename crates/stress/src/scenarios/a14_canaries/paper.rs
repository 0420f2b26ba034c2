//! Everything that is written down: records, log lines, and what any subscriber sees of the engine's spans and lines.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use stageflow::events::{Batch, EventKind, EventRecord, LogLines, Receipt};
use stageflow::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// What was written down, one piece each.
#[derive(Clone, Default)]
pub(super) struct Paper {
    pub(super) pieces: Arc<Mutex<Vec<String>>>,
    /// The controls that spoil what is written on the way.
    pub(super) half_walked: bool,
}

impl Paper {
    fn add(&self, piece: String) {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push(piece);
    }

    /// Takes what was written.
    pub(super) fn take(&self) -> Vec<String> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *pieces)
    }

    /// A subscriber that writes log lines as a program would have them, and notes what the engine says raw.
    pub(super) fn subscriber(&self, redaction: Redaction) -> Dispatch {
        let lines = LogLines::new(self.clone()).redaction(redaction);
        let raw = Raw(self.clone());
        Dispatch::new(tracing_subscriber::registry().with(lines).with(raw))
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EventSink for Paper {
    fn try_emit(&self, batch: Batch) -> Receipt {
        for event in &batch.events {
            let mut record = EventRecord::new(&batch.run, event);
            if let (true, EventKind::Note { note, .. }) = (self.half_walked, event.kind()) {
                record.data = half_walked(note.payload());
            }
            match serde_json::to_string(&record) {
                Ok(line) => self.add(line),
                Err(error) => self.add(format!("no record: {error}")),
            }
        }
        TracingSink::new().try_emit(batch)
    }
}

/// Looks at the outermost level only.
fn half_walked(payload: &Value) -> Value {
    let rules = Redaction::standard();
    match payload {
        Value::Object(fields) => {
            let outer = fields.iter().map(|(name, value)| {
                let value = match value {
                    Value::String(text) => rules.text(text).into(),
                    value => value.clone(),
                };
                (name.clone(), value)
            });
            outer.collect()
        }
        other => other.clone(),
    }
}

/// The fields of what the engine says, as a subscriber without rules of its own has them.
struct Raw(Paper);

impl Raw {
    fn note(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) {
        if metadata.target() == "stageflow" {
            let mut fields = Fields(String::new());
            record(&mut fields);
            self.0.add(fields.0);
        }
    }
}

impl<S> Layer<S> for Raw
where
    S: Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, _id: &Id, _cx: Context<'_, S>) {
        self.note(attrs.metadata(), |fields| attrs.record(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id) {
            self.note(span.metadata(), |fields| values.record(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, _cx: Context<'_, S>) {
        self.note(event.metadata(), |fields| event.record(fields));
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _written = write!(self.0, "{}={value:?} ", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _written = write!(self.0, "{}={value} ", field.name());
    }
}
