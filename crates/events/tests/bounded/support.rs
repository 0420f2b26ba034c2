//! An exporter that does as it is told, and events to send.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use stageflow_context::{
    ContextSnapshot, Note, OrgId, RunId, RunIdentity, SeededIds, StageIndex, StageName,
};
use stageflow_events::{
    Batch, BoundedCounts, BoundedSink, BoundedSinkBuilder, Entry, Event, EventKind, EventRecord,
    ExportError, ExportErrorKind, Exporter, RunHeader,
};
use stageflow_testkit::Gate;

/// What the exporter does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Take,
    Fail(ExportErrorKind),
    Panic,
    Hang,
    /// Takes it when the gate opens.
    At(Gate),
    /// Takes it after so long.
    After(Duration),
}

/// Does what is next in the script, and then always the same. What it took is in `taken`.
#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    next: VecDeque<Act>,
    always: Option<Act>,
    taken: Vec<Arc<EventRecord>>,
    calls: u64,
    largest: usize,
}

impl Scripted {
    pub(crate) fn always(act: Act) -> Self {
        let exporter = Self::default();
        exporter.acts(act);
        exporter
    }

    pub(crate) fn first(acts: impl IntoIterator<Item = Act>) -> Self {
        let exporter = Self::default();
        exporter.0.lock().unwrap().next.extend(acts);
        exporter
    }

    pub(crate) fn acts(&self, act: Act) {
        self.0.lock().unwrap().always = Some(act);
    }

    pub(crate) fn taken(&self) -> Vec<Arc<EventRecord>> {
        self.0.lock().unwrap().taken.clone()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn largest(&self) -> usize {
        self.0.lock().unwrap().largest
    }

    /// The places of all events it took, in order; marks are left out.
    pub(crate) fn seqs(&self) -> Vec<u64> {
        let taken = self.taken();
        let events = taken.iter().filter(|record| !is_mark(record));
        events.map(|record| record.seq).collect()
    }

    /// The marks it took.
    pub(crate) fn marks(&self) -> Vec<Value> {
        let taken = self.taken();
        let marks = taken.iter().filter(|record| is_mark(record));
        marks.map(|record| record.data.clone()).collect()
    }
}

pub(crate) fn is_mark(record: &EventRecord) -> bool {
    record.kind == "telemetry.dropped"
}

#[async_trait::async_trait]
impl Exporter for Scripted {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let act = {
            let mut script = self.0.lock().unwrap();
            script.calls += 1;
            script.largest = script.largest.max(entries.len());
            let next = script.next.pop_front();
            next.or_else(|| script.always.clone()).unwrap_or(Act::Take)
        };
        let mut refused = 0;
        match act {
            Act::Take => {}
            Act::Fail(ExportErrorKind::Refused(count)) => refused = count as usize,
            Act::Fail(kind) => return Err(ExportError::new(kind, "as told")),
            Act::Panic => std::panic::resume_unwind(Box::new("as told")),
            Act::Hang => std::future::pending().await,
            Act::At(gate) => gate.passed().await,
            Act::After(time) => tokio::time::sleep(time).await,
        }
        let kept = entries.len().saturating_sub(refused);
        let records = entries[..kept].iter().map(Entry::record);
        self.0.lock().unwrap().taken.extend(records);
        if refused == 0 {
            return Ok(());
        }
        let kind = ExportErrorKind::Refused(refused as u64);
        Err(ExportError::new(kind, "as told"))
    }
}

/// The `nth` run, of the `nth` org.
pub(crate) fn run(nth: u64) -> Arc<RunHeader> {
    let ids = SeededIds::new(nth);
    let identity = RunIdentity::new(RunId::generate(&ids)).with_org_id(OrgId::generate(&ids));
    let header = RunHeader::by_hand(
        ContextSnapshot::new(identity),
        Arc::from("p"),
        Arc::from([StageName::nth(0)]),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1),
    );
    Arc::new(header)
}

/// What a stage says.
pub(crate) fn note(seq: u64) -> Event {
    note_of(seq, "docs.loaded", Value::Null)
}

pub(crate) fn note_of(seq: u64, name: &str, payload: Value) -> Event {
    let kind = EventKind::Note {
        stage: StageIndex::new(0),
        attempt: 1,
        note: Box::new(Note::new(name, payload).unwrap()),
    };
    Event::new(seq, seq * 1_000, kind)
}

/// What the engine says.
pub(crate) fn start(seq: u64) -> Event {
    let kind = EventKind::StageStarted {
        stage: StageIndex::new(0),
        attempt: 1,
    };
    Event::new(seq, seq * 1_000, kind)
}

pub(crate) fn notes(run: &Arc<RunHeader>, seqs: std::ops::Range<u64>) -> Batch {
    Batch::new(Arc::clone(run), seqs.map(note).collect())
}

pub(crate) fn starts(run: &Arc<RunHeader>, seqs: std::ops::Range<u64>) -> Batch {
    Batch::new(Arc::clone(run), seqs.map(start).collect())
}

pub(crate) fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

pub(crate) fn sink(exporter: &Scripted, capacity: usize) -> BoundedSinkBuilder {
    BoundedSink::builder(exporter.clone()).capacity(many(capacity))
}

/// The counts, which add up.
#[track_caller]
pub(crate) fn sound(sink: &BoundedSink) -> BoundedCounts {
    let counts = sink.counts();
    let kept = counts.delivered + counts.failed + counts.discarded + counts.queued;
    assert_eq!(
        counts.offered,
        counts.accepted + counts.dropped,
        "{counts:?}"
    );
    assert_eq!(counts.accepted, kept, "{counts:?}");
    counts
}

/// Lets everything that can go on go on.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
