//! What a bounded sink allocates where there is no room.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use stageflow::context::{ContextSnapshot, Note, RunId, RunIdentity, SeededIds, StageIndex};
use stageflow::events::{BoundedSink, Event, EventKind, Exporter, Overflow, Pump, RunHeader};
use stageflow::prelude::*;

struct Nowhere;

#[async_trait]
impl Exporter for Nowhere {
    async fn export(
        &mut self,
        _: &[stageflow::events::Entry],
    ) -> Result<(), stageflow::events::ExportError> {
        Ok(())
    }
}

fn full(overflow: Overflow) -> (BoundedSink, Pump, Arc<RunHeader>) {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
    let context = ContextSnapshot::new(identity);
    let header = RunHeader::by_hand(
        context,
        Arc::from("p"),
        Arc::from([]),
        SystemTime::UNIX_EPOCH,
    );
    let run = Arc::new(header);
    let builder = BoundedSink::builder(Nowhere).overflow(overflow);
    let (sink, pump) = builder.capacity(NonZeroUsize::new(64).unwrap()).build();
    for seq in 0..64 {
        assert!(sink.try_emit_one(&run, note(seq)).is_ok());
    }
    (sink, pump, run)
}

fn note(seq: u64) -> Event {
    let note = Note::new("docs.loaded", serde_json::json!({"documents": seq})).unwrap();
    let kind = EventKind::Note {
        stage: StageIndex::new(0),
        attempt: 1,
        note: Box::new(note),
    };
    Event::new(seq, seq, kind)
}

#[test]
fn an_event_that_is_dropped_allocates_nothing() {
    let (sink, _pump, run) = full(Overflow::DropNewest);
    // The first of its kind is entered in the books.
    let mut event = Some(sink.try_emit_one(&run, note(64)).unwrap_err().event);
    let allocated = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            let offered = event.take().unwrap();
            event = sink
                .try_emit_one(&run, offered)
                .err()
                .map(|back| back.event);
        }
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!(sink.counts().dropped, 10_001);
}

#[test]
fn an_event_that_takes_the_place_of_another_allocates_nothing() {
    let (sink, _pump, run) = full(Overflow::DropOldest);
    let mut events: Vec<_> = (64..1_064).map(note).collect();
    assert!(sink.try_emit_one(&run, events.remove(0)).is_ok());
    let allocated = allocation_counter::measure(|| {
        for event in events {
            assert!(sink.try_emit_one(&run, event).is_ok());
        }
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!(sink.counts().discarded, 1_000);
}
