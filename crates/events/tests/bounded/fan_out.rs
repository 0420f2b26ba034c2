//! Several sinks, of which one may be dead.

use std::sync::Arc;
use std::time::Duration;

use stageflow_events::{
    Batch, BoundedSink, EventSink, FanOut, MemorySink, Receipt, StoppedSink, Stopping,
};
use stageflow_testkit::paused;

use crate::support::{Act, Scripted, many, notes, run, starts};

struct Panics;

#[async_trait::async_trait]
impl EventSink for Panics {
    fn try_emit(&self, _batch: Batch) -> Receipt {
        std::panic::resume_unwind(Box::new("no"))
    }

    async fn flush(&self) {
        std::panic::resume_unwind(Box::new("no"))
    }

    async fn close(&self, _stopping: Stopping, _deadline: Duration) -> Vec<StoppedSink> {
        std::panic::resume_unwind(Box::new("no"))
    }
}

struct Hangs;

#[async_trait::async_trait]
impl EventSink for Hangs {
    fn try_emit(&self, _batch: Batch) -> Receipt {
        Receipt::new(0, 1)
    }

    async fn emit(&self, _batch: Batch) -> Receipt {
        std::future::pending().await
    }
}

#[test]
fn every_sink_gets_every_event_and_the_worst_one_gives_the_receipt() {
    paused(async {
        let large = Arc::new(MemorySink::bounded(many(100)));
        let small = Arc::new(MemorySink::bounded(many(3)));
        let sink = FanOut::new()
            .to("large", Arc::clone(&large))
            .to("small", Arc::clone(&small));
        let receipt = sink.try_emit(notes(&run(1), 0..5));
        assert_eq!((receipt.accepted, receipt.dropped), (3, 2));
        let receipt = sink.emit(notes(&run(1), 5..6)).await;
        assert_eq!((receipt.accepted, receipt.dropped), (0, 1));
        assert_eq!((large.counts().accepted, small.counts().accepted), (6, 3));
        let counts = sink.counts();
        let rows: Vec<_> = counts
            .iter()
            .map(|row| (&*row.name, row.offered, row.accepted, row.dropped))
            .collect();
        assert_eq!(rows, [("large", 6, 6, 0), ("small", 6, 3, 3)]);
        assert_eq!(FanOut::new().try_emit(notes(&run(1), 0..2)).accepted, 2);
    });
}

#[test]
fn one_that_panics_or_hangs_harms_no_other() {
    paused(async {
        let kept = Arc::new(MemorySink::bounded(many(100)));
        let sink = FanOut::new()
            .to("dead", Panics)
            .to("kept", Arc::clone(&kept));
        let receipt = sink.try_emit(starts(&run(1), 0..4));
        assert_eq!((receipt.dropped, receipt.dropped_audit), (4, 4));
        let _ = sink.emit(notes(&run(1), 4..5)).await;
        sink.flush().await;
        let counts = sink.counts();
        assert_eq!((counts[0].dropped, counts[0].panics), (5, 2));
        assert_eq!((counts[1].accepted, counts[1].panics), (5, 0));

        let sink = FanOut::new()
            .to("hangs", Hangs)
            .to("kept", Arc::clone(&kept));
        let emit = sink.emit(notes(&run(1), 5..7));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), emit)
                .await
                .is_err()
        );
        let counts = sink.counts();
        assert_eq!((counts[0].offered, counts[0].dropped), (2, 2));
        assert_eq!(counts[1].accepted, 2);
        assert_eq!(kept.counts().accepted, 7);
    });
}

#[test]
fn stopping_it_stops_every_bounded_sink_in_it_by_one_deadline() {
    paused(async {
        let disk = Scripted::default();
        let inner = FanOut::new().to("disk", BoundedSink::builder(disk.clone()).start());
        let slow = Scripted::always(Act::After(Duration::from_secs(4)));
        let sink = FanOut::new()
            .to("dead", Panics)
            .to("memory", MemorySink::bounded(many(100)))
            .to("audit", inner)
            .to("slow", Arc::new(BoundedSink::builder(slow.clone()).start()))
            .to(
                "gone",
                BoundedSink::builder(Scripted::always(Act::Hang)).start(),
            );
        let _ = sink.try_emit(notes(&run(1), 0..5));

        let started = tokio::time::Instant::now();
        let stopped = sink.stop(Stopping::Drain, Duration::from_secs(10)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(10));

        let rows: Vec<_> = stopped
            .iter()
            .map(|sink| {
                let counts = &sink.counts;
                (
                    &*sink.name,
                    counts.delivered,
                    counts.discarded,
                    counts.queued,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("audit/disk", 5, 0, 0),
                ("slow", 5, 0, 0),
                ("gone", 0, 5, 0)
            ]
        );
        assert_eq!((disk.seqs().len(), slow.seqs().len()), (5, 5));

        // They take nothing more.
        assert_eq!(sink.try_emit(notes(&run(1), 5..6)).dropped, 1);
        assert_eq!((disk.seqs().len(), slow.seqs().len()), (5, 5));
    });
}

#[test]
fn what_is_held_is_discarded_if_stopping_says_so() {
    paused(async {
        let exporter = Scripted::default();
        let sink = FanOut::new().to("only", BoundedSink::builder(exporter.clone()).start());
        let _ = sink.try_emit(notes(&run(1), 0..5));
        let stopped = sink.stop(Stopping::Discard, Duration::from_secs(1)).await;
        assert_eq!(stopped.len(), 1);
        assert_eq!(
            (stopped[0].counts.delivered, stopped[0].counts.discarded),
            (0, 5)
        );
        assert!(exporter.seqs().is_empty());
    });
}
