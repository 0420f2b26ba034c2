//! Several sinks, of which one may be dead.

use std::sync::Arc;
use std::time::Duration;

use stageflow_events::{Batch, EventSink, FanOut, MemorySink, Receipt};
use stageflow_testkit::paused;

use crate::support::{many, notes, run, starts};

struct Panics;

#[async_trait::async_trait]
impl EventSink for Panics {
    fn try_emit(&self, _batch: Batch) -> Receipt {
        std::panic::resume_unwind(Box::new("no"))
    }

    async fn flush(&self) {
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
