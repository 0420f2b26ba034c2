//! A sink in memory: its counts are exact, at any moment.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{ContextSnapshot, RunId, RunIdentity, SeededIds, StageIndex, StageName};
use stageflow_events::{Batch, Event, EventKind, EventSink, MemorySink, RunHeader};

fn batch(from: u64, count: u64) -> Batch {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
    let stages = Arc::from([StageName::nth(0)]);
    let header = RunHeader::by_hand(
        ContextSnapshot::new(identity),
        Arc::from("p"),
        stages,
        SystemTime::UNIX_EPOCH,
    );
    let kind = EventKind::StageStarted {
        stage: StageIndex::new(0),
        attempt: 1,
    };
    let events = (from..from + count)
        .map(|seq| Event::new(seq, seq, kind.clone()))
        .collect();
    Batch::new(Arc::new(header), events)
}

fn sink(capacity: usize) -> MemorySink {
    MemorySink::bounded(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN))
}

fn numbers(batches: &[Batch]) -> Vec<u64> {
    batches
        .iter()
        .flat_map(|batch| batch.events.iter().map(Event::seq))
        .collect()
}

#[test]
fn it_takes_what_it_has_room_for_and_counts_the_rest() {
    let sink = sink(5);
    let receipts = [3, 4, 2, 0].map(|count| sink.try_emit(batch(0, count)));
    assert_eq!(
        receipts.map(|receipt| (receipt.accepted, receipt.dropped)),
        [(3, 0), (2, 2), (0, 2), (0, 0)]
    );
    let counts = sink.counts();
    assert_eq!(
        (
            counts.offered,
            counts.accepted,
            counts.dropped,
            counts.queued,
            counts.drained
        ),
        (9, 5, 4, 5, 0)
    );
    assert_eq!(
        numbers(&sink.drain()),
        [0, 1, 2, 0, 1],
        "the oldest are kept"
    );
    let counts = sink.counts();
    assert_eq!((counts.queued, counts.drained), (0, 5));
    assert_eq!(
        sink.try_emit(batch(0, 9)).accepted,
        5,
        "there is room again"
    );
    assert!(sink.drain().len() == 1 && sink.drain().is_empty());
}

#[test]
fn its_counts_add_up_while_many_threads_use_it() {
    let sink = sink(1_000);
    let whole = |sink: &MemorySink| {
        let counts = sink.counts();
        assert_eq!(counts.offered, counts.accepted + counts.dropped);
        assert_eq!(counts.accepted, counts.drained + counts.queued);
        assert!(counts.queued <= 1_000);
        counts
    };
    let (drained, accepted) = std::thread::scope(|threads| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    (0..500)
                        .map(|i| sink.try_emit(batch(0, i % 7)).accepted)
                        .sum::<u64>()
                })
            })
            .collect();
        let reader = threads.spawn(|| {
            let mut seen = 0;
            for _ in 0..200 {
                whole(&sink);
                seen += numbers(&sink.drain()).len() as u64;
                std::thread::yield_now();
            }
            seen
        });
        let accepted: u64 = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        (reader.join().unwrap(), accepted)
    });
    let left = numbers(&sink.drain()).len() as u64;
    let counts = whole(&sink);
    assert_eq!(
        (counts.accepted, counts.drained),
        (accepted, drained + left)
    );
    assert_eq!(counts.offered, 4 * (0..500).map(|i| i % 7).sum::<u64>());
}

#[tokio::test]
async fn waiting_for_room_and_flushing_are_what_a_sink_makes_of_them() {
    let sink = Arc::new(sink(1));
    let receipt = sink.emit(batch(0, 2)).await;
    assert_eq!(
        (receipt.accepted, receipt.dropped),
        (1, 1),
        "this one does not wait"
    );
    sink.flush().await;
    assert_eq!(sink.counts().queued, 1);
}
