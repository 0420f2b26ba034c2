//! Where a bounded sink delivers to.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Event, EventRecord, RunHeader};

/// One event on its way out of a bounded sink.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// An event as the engine made it, with its envelope.
    Event(Arc<RunHeader>, Event),
    /// One that was kept on disk meanwhile, or that a sink itself has to say: `telemetry.dropped`.
    Record(Arc<EventRecord>),
}

impl Entry {
    /// Whether it is a mark that something is missing, which a sink itself made.
    pub(crate) fn is_mark(&self) -> bool {
        matches!(self, Self::Record(record) if record.kind == "telemetry.dropped")
    }

    /// As it is written down.
    #[must_use]
    pub fn record(&self) -> Arc<EventRecord> {
        match self {
            Self::Event(run, event) => Arc::new(EventRecord::new(run, event)),
            Self::Record(record) => Arc::clone(record),
        }
    }
}

/// Takes events out of a bounded sink to where they go: a file, a collector, another service. One call at a time.
///
/// It may wait and it may fail: the sink in front keeps what comes meanwhile, tries again what failed for a while, and counts
/// all of it. A panic counts as a permanent failure.
#[async_trait]
pub trait Exporter: Send + 'static {
    /// Takes these, in this order.
    ///
    /// # Errors
    ///
    /// [`ExportError`], which says how many of them were not taken, and whether another try could help.
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError>;

    /// Makes what was taken durable, if that is not so yet.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if that cannot be done.
    async fn flush(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
}

/// Entries that were not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}{}; {}", self.code(), cause(.source.as_deref()), advice(*.kind))]
pub struct ExportError {
    what: String,
    kind: ExportErrorKind,
    source: Option<stageflow_context::BoxError>,
}

/// What became of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportErrorKind {
    /// None was taken, and another try would fail the same way.
    Permanent,
    /// So many of them were refused for good; the others were taken.
    Refused(u64),
    /// None was taken; another try may help.
    Transient,
}

impl ExportError {
    /// `what` went wrong, in words.
    pub fn new(kind: ExportErrorKind, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            kind,
            source: None,
        }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<stageflow_context::BoxError>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// What became of the entries.
    #[must_use]
    pub fn kind(&self) -> ExportErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            ExportErrorKind::Transient => "SF0501",
            ExportErrorKind::Permanent => "SF0502",
            ExportErrorKind::Refused(_) => "SF0503",
        }
    }
}

fn cause(source: Option<&(dyn std::error::Error + Send + Sync + 'static)>) -> impl fmt::Display {
    source.map_or_else(String::new, |source| format!(": {source}"))
}

fn advice(kind: ExportErrorKind) -> impl fmt::Display {
    match kind {
        ExportErrorKind::Transient => {
            "nothing was taken; look at what it sends to, if trying again does not help".to_owned()
        }
        ExportErrorKind::Permanent => {
            "nothing was taken, and another try would not help: look at what it sends to".to_owned()
        }
        ExportErrorKind::Refused(count) => {
            format!("{count} refused for good, the others taken: look at what is wrong with those")
        }
    }
}
