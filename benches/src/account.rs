//! Whether a bounded sink counts right: several tasks flood it, then it is stopped.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use stageflow::events::{
    Batch as Events, BoundedSink, Entry, Event, EventSink as _, ExportError, Exporter, Receipt,
    Stopping,
};
use stageflow::prelude::async_trait;

use crate::emit::{header, note};

const TASKS: u64 = 4;
const BATCHES: u64 = 50;
const ROW: u64 = 16;
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// Counts what comes, and knows when the last of it came.
struct Watched(Arc<AtomicU64>, Arc<Mutex<Instant>>);

#[async_trait]
impl Exporter for Watched {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        // Others go on meanwhile, and find the queue full.
        tokio::task::yield_now().await;
        let events = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Event(..)));
        self.0.fetch_add(events.count() as u64, Ordering::Relaxed);
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }
}

/// How long `stop` took after the last event was delivered.
pub(crate) async fn flood() -> Duration {
    let (came, last) = (Arc::default(), Arc::new(Mutex::new(Instant::now())));
    let exporter = Watched(Arc::clone(&came), Arc::clone(&last));
    let sink = BoundedSink::builder(exporter).capacity(CAPACITY).start();
    let tasks = (0..TASKS).map(|_| tokio::spawn(offer(sink.clone())));
    let receipts = join_all(tasks).await;
    let counts = sink.stop(Stopping::Drain, Duration::from_secs(10)).await;
    let took = last
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .elapsed();

    let (mut accepted, mut dropped) = (0, 0);
    for receipt in receipts {
        let Ok(receipt) = receipt else {
            panic!("none of them panics")
        };
        accepted += receipt.accepted;
        dropped += receipt.dropped;
    }
    assert_eq!(counts.offered, TASKS * BATCHES * (ROW + 1));
    assert_eq!((counts.accepted, counts.dropped), (accepted, dropped));
    assert_eq!(counts.offered, accepted + dropped, "nothing is miscounted");
    assert_eq!(
        counts.delivered, accepted,
        "all that was taken has been delivered"
    );
    assert_eq!(came.load(Ordering::Relaxed), accepted);
    let lost: u64 = sink.losses().iter().map(|loss| loss.count).sum();
    assert_eq!(lost, dropped, "and the rest has a reason");
    assert!(dropped > 0, "it was a flood");
    took
}

/// Rows and single events in turn.
async fn offer(sink: BoundedSink) -> Receipt {
    let (run, note) = (header(), note());
    let (mut accepted, mut dropped) = (0, 0);
    for batch in 0..BATCHES {
        let first = batch * (ROW + 1);
        let events = (first..first + ROW).map(|seq| Event::new(seq, seq, note.clone()));
        let receipt = sink.try_emit(Events::new(Arc::clone(&run), events.collect()));
        let last = Event::new(first + ROW, first + ROW, note.clone());
        let taken = sink.try_emit_one(&run, last).is_ok();
        accepted += receipt.accepted + u64::from(taken);
        dropped += receipt.dropped + u64::from(!taken);
        if batch % 8 == 7 {
            tokio::task::yield_now().await;
        }
    }
    Receipt::new(accepted, dropped)
}
