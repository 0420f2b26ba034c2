//! A sink that hears everything in every form: as events, as text, and as `tracing` lines.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow::events::{Batch, Receipt};
use stageflow::prelude::*;
use stageflow_testkit::{Recorded, RecordingSink};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher, span};

use crate::ledger::events::EventLedger;

pub(super) struct Ears {
    pub(super) ledger: EventLedger,
    pub(super) tape: Tape,
}

impl Ears {
    pub(super) fn new(ledger: EventLedger) -> Arc<Self> {
        let tape = Tape::new();
        Arc::new(Self { ledger, tape })
    }
}

impl EventSink for Ears {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let _same = self.tape.try_emit(batch.clone());
        self.ledger.try_emit(batch)
    }
}

/// Keeps events as they are, and as the lines a log would have.
pub(in crate::scenarios) struct Tape {
    recording: RecordingSink,
    dispatch: Dispatch,
    kept: Arc<Mutex<Kept>>,
}

/// What `tracing` was told.
#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    /// Spans with all that was ever recorded on them; the number of a span is one more than its place.
    spans: Vec<String>,
}

impl Tape {
    pub(in crate::scenarios) fn new() -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        Self {
            recording: RecordingSink::new(),
            dispatch: Dispatch::new(Lines(Arc::clone(&kept))),
            kept,
        }
    }

    /// For a run that is to tell this tape what it says in spans and log lines of its own.
    pub(in crate::scenarios) fn dispatch(&self) -> Dispatch {
        self.dispatch.clone()
    }

    /// The events.
    pub(in crate::scenarios) fn all(&self) -> Vec<Recorded> {
        self.recording.all()
    }

    /// The lines a log would have.
    pub(in crate::scenarios) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.kept).lines)
    }

    /// The spans of [`Tape::dispatch`], when all of them have ended.
    pub(in crate::scenarios) fn spans(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.kept).spans)
    }
}

impl EventSink for Tape {
    fn try_emit(&self, batch: Batch) -> Receipt {
        // Whatever thread this is on: a subscriber of the thread's own would hear only some.
        let _same = dispatcher::with_default(&self.dispatch, || {
            TracingSink::new().try_emit(batch.clone())
        });
        self.recording.try_emit(batch)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes every `tracing` event as a line, and every span as another.
struct Lines(Arc<Mutex<Kept>>);

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        let spans = &mut lock(&self.0).spans;
        spans.push(line.0);
        span::Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &span::Id, values: &span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        let place = usize::try_from(span.into_u64() - 1).unwrap_or(usize::MAX);
        if let Some(said) = lock(&self.0).spans.get_mut(place) {
            said.push_str(&line.0);
        }
    }

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        lock(&self.0).lines.push(line.0);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _written = write!(self.0, "{}={value:?} ", field.name());
    }
}
