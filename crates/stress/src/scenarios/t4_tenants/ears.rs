//! A sink that hears everything in every form: as events, as text, and as `tracing` lines.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

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
    lines: Arc<Mutex<Vec<String>>>,
}

impl Tape {
    pub(in crate::scenarios) fn new() -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        Self {
            recording: RecordingSink::new(),
            dispatch: Dispatch::new(Lines(Arc::clone(&lines))),
            lines,
        }
    }

    /// The events.
    pub(in crate::scenarios) fn all(&self) -> Vec<Recorded> {
        self.recording.all()
    }

    /// The lines a log would have.
    pub(in crate::scenarios) fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut lines)
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

/// Writes every `tracing` event as a line.
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.0);
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
