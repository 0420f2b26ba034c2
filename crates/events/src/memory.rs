//! A sink that keeps events in memory.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Batch, Event, EventSink, Lane, Receipt};

/// Keeps events until they are drained, up to a bound; beyond it the newest are dropped and counted.
///
/// ```
/// use stageflow_events::MemorySink;
/// use std::num::NonZeroUsize;
///
/// let sink = MemorySink::bounded(NonZeroUsize::new(10_000).unwrap());
/// // ... hand it to an engine, run something ...
/// for batch in sink.drain() {
///     for event in &batch.events {
///         println!("{} {}", batch.run.identity().run_id(), event.kind().name());
///     }
/// }
/// assert_eq!(sink.counts().offered, sink.counts().accepted + sink.counts().dropped);
/// ```
pub struct MemorySink {
    capacity: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    batches: Vec<Batch>,
    counts: SinkCounts,
}

/// What a [`MemorySink`] did so far. At any moment `offered = accepted + dropped` and `accepted = drained + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkCounts {
    /// Events that were handed to the sink.
    pub offered: u64,
    /// Events it took.
    pub accepted: u64,
    /// Events it had no room for.
    pub dropped: u64,
    /// Events that were drained from it.
    pub drained: u64,
    /// Events it holds.
    pub queued: u64,
}

impl MemorySink {
    /// Holds at most `capacity` events.
    #[must_use]
    pub fn bounded(capacity: NonZeroUsize) -> Self {
        Self {
            capacity: capacity.get() as u64,
            kept: Mutex::default(),
        }
    }

    /// Takes out everything it holds, oldest first.
    #[must_use]
    pub fn drain(&self) -> Vec<Batch> {
        let mut kept = self.lock();
        kept.counts.drained += kept.counts.queued;
        kept.counts.queued = 0;
        std::mem::take(&mut kept.batches)
    }

    /// What it did so far, at one moment.
    #[must_use]
    pub fn counts(&self) -> SinkCounts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Counts and batches change together and cannot be torn by a panic: nothing in between can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for MemorySink {
    fn try_emit(&self, mut batch: Batch) -> Receipt {
        let offered = batch.events.len() as u64;
        let mut kept = self.lock();
        let accepted = offered.min(self.capacity - kept.counts.queued);
        kept.counts.offered += offered;
        kept.counts.accepted += accepted;
        kept.counts.dropped += offered - accepted;
        kept.counts.queued += accepted;
        let dropped = batch.events.split_off(accepted as usize);
        if accepted > 0 {
            kept.batches.push(batch);
        }
        drop(kept);
        let must_not_be_lost = |event: &&Event| Lane::of(event.kind()) == Lane::Audit;
        let audit = dropped.iter().filter(must_not_be_lost).count();
        Receipt::new(accepted, offered - accepted).with_dropped_audit(audit as u64)
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink")
            .field("capacity", &self.capacity)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
