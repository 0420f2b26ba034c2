//! Events into a bounded sink: one by one, in batches as runs hand them over, and where there is no room.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use stageflow::context::{
    ContextSnapshot, Note, RunId, RunIdentity, SeededIds, StageIndex, StageName,
};
use stageflow::events::{
    Batch as Events, BoundedSink, Entry, Event, EventKind, EventSink as _, ExportError, Exporter,
    Pump, RunHeader,
};
use stageflow::prelude::async_trait;

use crate::harness::Batch;
use crate::subject::Queue;

/// As many as a run hands over at once.
const ROW: u64 = 64;

/// Takes everything, and does nothing with it.
struct Nowhere;

#[async_trait]
impl Exporter for Nowhere {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        black_box(entries);
        Ok(())
    }
}

/// One note at a time, made beforehand: what is not taken is offered again.
pub(crate) fn one_by_one(queue: Queue) -> Batch {
    let run = header();
    Arc::new(move |count| {
        let run = Arc::clone(&run);
        Box::pin(async move {
            match queue {
                Queue::Roomy => accepted(&run, count).await,
                Queue::Full => dropped(&run, count),
            }
        })
    })
}

async fn accepted(run: &Arc<RunHeader>, count: u64) {
    let (sink, mut pump) = sink(Queue::Roomy);
    let note = note();
    for seq in 0..count {
        // The payload is shared: to clone it is what the channel's side does without.
        let event = black_box(Event::new(seq, seq, note.clone()));
        assert!(sink.try_emit_one(run, event).is_ok(), "there is room");
        if seq % ROW == ROW - 1 {
            take(&mut pump).await;
        }
    }
}

fn dropped(run: &Arc<RunHeader>, count: u64) {
    let (sink, _pump) = sink(Queue::Full);
    let mut event = Event::new(0, 0, note());
    for _ in 0..count {
        let Err(back) = sink.try_emit_one(run, black_box(event)) else {
            panic!("it is full")
        };
        event = back.event;
    }
    assert_eq!(sink.counts().dropped, count);
}

/// The two status events of so many stages, in the batches in which a run hands them over.
pub(crate) fn in_batches() -> Batch {
    let run = header();
    Arc::new(move |stages| {
        let run = Arc::clone(&run);
        Box::pin(async move {
            let (sink, mut pump) = sink(Queue::Roomy);
            let mut events = Vec::with_capacity(ROW as usize);
            for seq in 0..2 * stages {
                events.push(status(seq));
                if events.len() as u64 == ROW || seq + 1 == 2 * stages {
                    let next = Vec::with_capacity(ROW as usize);
                    let batch = std::mem::replace(&mut events, next);
                    assert_eq!(
                        sink.try_emit(Events::new(Arc::clone(&run), batch)).dropped,
                        0
                    );
                    take(&mut pump).await;
                }
            }
        })
    })
}

fn sink(queue: Queue) -> (BoundedSink, Pump) {
    let capacity = match queue {
        Queue::Roomy => const { std::num::NonZeroUsize::new(1024).unwrap() },
        Queue::Full => std::num::NonZeroUsize::MIN,
    };
    let (sink, pump) = BoundedSink::builder(Nowhere).capacity(capacity).build();
    if queue == Queue::Full {
        let receipt = sink.try_emit(Events::new(header(), vec![status(0)]));
        assert_eq!(receipt.accepted, 1, "there is room for one");
    }
    (sink, pump)
}

/// Has the pump deliver what there is.
async fn take(pump: &mut Pump) {
    poll_fn(|cx| {
        assert!(
            Pin::new(&mut *pump).poll(cx).is_pending(),
            "nobody stopped it"
        );
        Poll::Ready(())
    })
    .await;
}

pub(crate) fn header() -> Arc<RunHeader> {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(7)));
    let stages = Arc::from([StageName::nth(0)]);
    let context = ContextSnapshot::new(identity);
    Arc::new(RunHeader::by_hand(
        context,
        Arc::from("bench"),
        stages,
        SystemTime::UNIX_EPOCH,
    ))
}

/// What a stage says, with its payload made beforehand.
pub(crate) fn note() -> EventKind {
    let payload = serde_json::json!({"documents": 12, "from": "index"});
    let Ok(note) = Note::new("docs.loaded", payload) else {
        panic!("a good name")
    };
    EventKind::Note {
        stage: StageIndex::new(0),
        attempt: 1,
        note: Box::new(note),
    }
}

fn status(seq: u64) -> Event {
    let (stage, attempt) = (StageIndex::new(0), 1);
    Event::new(seq, seq, EventKind::StageStarted { stage, attempt })
}
