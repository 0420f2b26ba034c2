//! A sink that keeps events under the org of their run.

mod exporter;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stageflow_events::{
    Batch, BoundedCounts, BoundedSink, BoundedSinkBuilder, EventRecord, EventSink, Lane, Receipt,
    StoppedSink, Stopping,
};
use stageflow_tenancy::TenantScope;

use self::exporter::StoreExporter;
use crate::{SeenTenants, Store};

/// Keeps what happens in runs, and how they ended, under the org of each run: see [`EventLog`](crate::EventLog) and
/// [`Runs`](crate::Runs). A [`BoundedSink`] stands in front of the store, with a bound, and counts.
///
/// Events of runs that are for nobody are not kept: they are dropped, and counted. Nothing is ever kept for "everybody".
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use stageflow_events::{EventSink, Stopping};
/// use stageflow_store::{MemoryStore, StoreSink};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let sink = StoreSink::start(Arc::new(MemoryStore::new()));
/// // ... `Engine::builder().events(sink.clone())` ...
/// sink.close(Stopping::Drain, Duration::from_secs(5)).await;
/// let counts = sink.counts();
/// assert_eq!(counts.offered, counts.accepted + counts.dropped);
/// # }
/// ```
#[derive(Clone)]
pub struct StoreSink(Arc<Inner>);

struct Inner {
    bounded: BoundedSink,
    seen: SeenTenants,
    nobody: AtomicU64,
}

impl StoreSink {
    /// A sink with the bounds of [`BoundedSinkBuilder`], in front of this store.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn start(store: Arc<dyn Store>) -> Self {
        Self::shaped(store, |builder| builder)
    }

    /// The same with other bounds.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn shaped(
        store: Arc<dyn Store>,
        shape: impl FnOnce(BoundedSinkBuilder) -> BoundedSinkBuilder,
    ) -> Self {
        let seen = SeenTenants::new();
        let exporter = StoreExporter::new(store, seen.clone());
        let bounded = shape(BoundedSink::each(exporter)).start();
        let nobody = AtomicU64::new(0);
        Self(Arc::new(Inner {
            bounded,
            seen,
            nobody,
        }))
    }

    /// What it did so far. What belongs to nobody is among what was offered and dropped.
    #[must_use]
    pub fn counts(&self) -> BoundedCounts {
        // Read before, so that what comes meanwhile is missing on both sides.
        let counts = self.0.bounded.counts();
        self.with_nobody(counts)
    }

    /// How many events were dropped because their run is for nobody.
    #[must_use]
    pub fn nobody(&self) -> u64 {
        self.0.nobody.load(Ordering::Relaxed)
    }

    fn with_nobody(&self, mut counts: BoundedCounts) -> BoundedCounts {
        let nobody = self.nobody();
        counts.offered += nobody;
        counts.dropped += nobody;
        counts
    }

    /// Whether the batch is somebody's. If not, it is counted.
    fn take(&self, batch: &Batch) -> Result<(), Receipt> {
        if let Ok(scope) = TenantScope::of_header(&batch.run) {
            self.0.seen.remember(&scope);
            return Ok(());
        }
        let count = batch.events.len() as u64;
        self.0.nobody.fetch_add(count, Ordering::Relaxed);
        let audit = batch.events.iter().map(|event| Lane::of(event.kind()));
        let audit = audit.filter(|lane| *lane == Lane::Audit).count() as u64;
        Err(Receipt::new(0, count).with_dropped_audit(audit))
    }
}

#[async_trait]
impl EventSink for StoreSink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        match self.take(&batch) {
            Ok(()) => self.0.bounded.try_emit(batch),
            Err(receipt) => receipt,
        }
    }

    async fn emit(&self, batch: Batch) -> Receipt {
        match self.take(&batch) {
            Ok(()) => self.0.bounded.emit(batch).await,
            Err(receipt) => receipt,
        }
    }

    fn try_record(&self, record: &Arc<EventRecord>) -> Receipt {
        self.0.bounded.try_record(record)
    }

    async fn flush(&self) {
        EventSink::flush(&self.0.bounded).await;
    }

    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        let mut stopped = self.0.bounded.close(stopping, deadline).await;
        for sink in &mut stopped {
            sink.counts = self.with_nobody(sink.counts);
        }
        stopped
    }
}

impl fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSink")
            .field("counts", &self.counts())
            .field("nobody", &self.nobody())
            .finish_non_exhaustive()
    }
}
