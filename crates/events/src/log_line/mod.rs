//! Log lines of a whole program: one JSON object a line, with the ids of the run it belongs to, and without secrets.

mod fields;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;
use stageflow_context::{StageCx, SystemClock, WallClock};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::{Redaction, json_line, tracing_sink};
use fields::{Identity, Told};

/// Writes every `tracing` event of a program as one line of JSON: whose it is, which run, where in it, and what was said.
///
/// ```
/// use stageflow_events::LogLines;
/// use tracing_subscriber::prelude::*;
///
/// let lines = LogLines::new(std::io::stderr());
/// let subscriber = tracing_subscriber::registry().with(lines.clone());
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(tries = 3, "no answer; password=swordfish");
/// });
/// assert_eq!(lines.written(), 1);
/// // {"time_us":...,"level":"WARN","target":"...","message":"no answer; password=[redacted]","fields":{"tries":3}}
/// ```
///
/// The ids come from the innermost span of a stage it is in: the one that the layer `Trace` enters, or one that
/// [`StageCx::in_span`] or [`StageCx::instrument`] has made. They stand at the top of the object, under the names that
/// [`EventRecord`](crate::EventRecord) has; what the line itself says stands under `fields`, so that no line can give itself
/// other ids. Events of [`TracingSink`](crate::TracingSink) have their own.
///
/// Messages and fields go through a [`Redaction`]; texts longer than 16 KiB are cut, and say so. Everything that could end the
/// line is escaped. Fields of spans that are not Stageflow's are not written.
///
/// A line is written in the thread that logs, in one call of `write_all`, under a lock; give it a writer that hands lines to
/// another thread if yours may block. The writer must not log itself. Lines that it does not take are counted. A clone writes
/// to the same writer, and has the same counts.
pub struct LogLines<W> {
    shared: Arc<Shared<W>>,
    redaction: Redaction,
    clock: Arc<dyn WallClock>,
}

struct Shared<W> {
    writer: Mutex<W>,
    written: AtomicU64,
    lost: AtomicU64,
}

impl<W: Write + Send + 'static> LogLines<W> {
    /// Lines for this writer, without what [`Redaction::standard`] leaves out.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self {
            shared: Arc::new(Shared {
                writer: Mutex::new(writer),
                written: AtomicU64::new(0),
                lost: AtomicU64::new(0),
            }),
            redaction: Redaction::standard(),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// With other rules for what is left out.
    #[must_use]
    pub fn redaction(self, redaction: Redaction) -> Self {
        Self { redaction, ..self }
    }

    /// With another clock for the time of lines.
    #[must_use]
    pub fn wall_clock(self, clock: impl WallClock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Writes out what the writer holds back.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn flush(&self) -> io::Result<()> {
        let writer = self.shared.writer.lock();
        writer.unwrap_or_else(PoisonError::into_inner).flush()
    }

    /// Hands one line over.
    fn write(&self, line: &Line<'_>) {
        let written = json_line(line)
            .map_err(io::Error::other)
            .and_then(|mut line| {
                line.push('\n');
                let writer = self.shared.writer.lock();
                writer
                    .unwrap_or_else(PoisonError::into_inner)
                    .write_all(line.as_bytes())
            });
        let count = match written {
            Ok(()) => &self.shared.written,
            Err(_) => &self.shared.lost,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl<W> LogLines<W> {
    /// How many lines were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// How many lines the writer did not take.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl<W> Clone for LogLines<W> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            redaction: self.redaction.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<W> fmt::Debug for LogLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLines")
            .field("redaction", &self.redaction)
            .field("written", &self.written())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

/// One line, in this order.
#[derive(Serialize)]
struct Line<'a> {
    time_us: u64,
    level: &'a str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten)]
    identity: Option<&'a Identity>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, Value>,
}

impl<W, S> Layer<S> for LogLines<W>
where
    W: Write + Send + 'static,
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if !StageCx::is_log_span(attrs.metadata()) {
            return;
        }
        if let Some(span) = cx.span(id) {
            let mut identity = Identity::default();
            attrs.record(&mut identity);
            span.extensions_mut().replace(identity);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let metadata = event.metadata();
        // What the engine itself says has its ids in its fields, and is without secrets already.
        let by_engine = metadata.module_path() == Some(tracing_sink::HERE);
        let mut told = Told::new(if by_engine {
            Redaction::off()
        } else {
            self.redaction.clone()
        });
        event.record(&mut told);
        let own = by_engine.then(|| told.take_identity());
        let line = |identity: Option<&Identity>| {
            self.write(&Line {
                time_us: unix_micros(self.clock.now()),
                level: metadata.level().as_str(),
                target: metadata.target(),
                message: told.message,
                identity,
                fields: told.fields,
            });
        };
        if own.is_some() {
            return line(own.as_ref());
        }
        let found = cx.event_scope(event).into_iter().flatten();
        let mut found = found.filter(|span| span.extensions().get::<Identity>().is_some());
        match found.next() {
            Some(span) => line(span.extensions().get()),
            None => line(None),
        }
    }
}

fn unix_micros(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_micros() as u64
}
