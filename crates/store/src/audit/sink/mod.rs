//! A sink that writes what must be known into the trail of the tenant it is about.

mod exporter;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stageflow_context::{IdSource, SealKeys};
use stageflow_events::{
    Batch, BoundedCounts, BoundedSink, BoundedSinkBuilder, EventRecord, EventSink, Exporter,
    Receipt, StoppedSink, Stopping,
};

use self::exporter::AuditExporter;
use crate::Store;

/// Writes what must be known afterwards into the audit trail of the tenant whose run it was: events `auth.*`, `tenant.*`,
/// `approval.*` and `layer.auth.*`, and notes of stages `audit.*`. All others it takes and leaves alone: other sinks are for them.
///
/// A run for which no org was proved, such as one with a bad token, belongs to no tenant, and its audit to no tenant's trail: that
/// of all such runs goes to the *operator's* exporter, a [`Journal`](stageflow_events::Journal) for example. Nothing is lost in
/// between: each event of these types is in a trail, with the operator, or counted by the [`BoundedSink`] in front.
///
/// An event is in its trail once, however often it is delivered.
///
/// What no trail can take goes to the operator, too, and is [counted](Self::strays): what was kept on disk over a crash has no
/// envelope, and so no way into a store, until an event with one has come by for its org; and a trail that was altered takes
/// nothing more. Look at the log then: there is an error for each.
///
/// ```
/// use std::sync::Arc;
/// use stageflow_context::{SealKey, SealKeys};
/// use stageflow_events::{Journal, JournalOptions};
/// use stageflow_store::{AuditSink, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let keys = SealKeys::new(SealKey::new(1, [17; 32])); // 32 random bytes, from where you keep secrets
/// let operator = Journal::create(JournalOptions::new(folder.path()))?;
/// let sink = AuditSink::start(Arc::new(MemoryStore::new()), keys, operator);
/// // ... `Engine::builder().events(sink.clone())`, or in a `FanOut` beside others ...
/// # drop(sink);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AuditSink {
    bounded: BoundedSink,
    strays: Arc<AtomicU64>,
}

impl AuditSink {
    /// A sink in front of the trails in this store, which are under these keys, and of the operator's exporter.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn start(
        store: Arc<dyn Store>,
        keys: impl Into<Arc<SealKeys>>,
        operator: impl Exporter,
    ) -> Self {
        Self::shaped(store, keys, operator, |builder| builder)
    }

    /// The same, with other bounds in front.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn shaped(
        store: Arc<dyn Store>,
        keys: impl Into<Arc<SealKeys>>,
        operator: impl Exporter,
        shape: impl FnOnce(BoundedSinkBuilder) -> BoundedSinkBuilder,
    ) -> Self {
        let ids: Arc<dyn IdSource> = Arc::new(stageflow_context::SystemIds::new());
        let strays = Arc::new(AtomicU64::new(0));
        let operator = Box::new(operator);
        let exporter = AuditExporter::new(store, keys.into(), ids, operator, Arc::clone(&strays));
        let bounded = shape(BoundedSink::each(exporter)).start();
        Self { bounded, strays }
    }

    /// What became of the events that belong into a trail; the others are not counted.
    #[must_use]
    pub fn counts(&self) -> BoundedCounts {
        self.bounded.counts()
    }

    /// How many events were a tenant's and are with the operator, because no trail could take them: see [`AuditSink`]. They are
    /// among what was delivered, as far as the operator took them.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }

    /// What of a batch belongs into a trail, and how many events do not.
    fn pick(mut batch: Batch) -> (Option<Batch>, u64) {
        let before = batch.events.len();
        batch.events.retain(|event| is_audit(event.kind().name()));
        let others = (before - batch.events.len()) as u64;
        ((!batch.events.is_empty()).then_some(batch), others)
    }
}

/// Whether an event of this type belongs into a trail.
fn is_audit(kind: &str) -> bool {
    let mut words = kind.split('.');
    match words.next() {
        Some("approval" | "audit" | "auth" | "tenant") => true,
        Some("layer") => words.next() == Some("auth"),
        _ => false,
    }
}

fn with_others(receipt: Receipt, others: u64) -> Receipt {
    let mut receipt = receipt;
    receipt.accepted += others;
    receipt
}

#[async_trait]
impl EventSink for AuditSink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let (batch, others) = Self::pick(batch);
        let receipt = batch.map(|batch| self.bounded.try_emit(batch));
        with_others(receipt.unwrap_or_default(), others)
    }

    async fn emit(&self, batch: Batch) -> Receipt {
        let (batch, others) = Self::pick(batch);
        let receipt = match batch {
            Some(batch) => self.bounded.emit(batch).await,
            None => Receipt::default(),
        };
        with_others(receipt, others)
    }

    fn try_record(&self, record: &Arc<EventRecord>) -> Receipt {
        match is_audit(&record.kind) {
            true => self.bounded.try_record(record),
            false => Receipt::new(1, 0),
        }
    }

    async fn flush(&self) {
        EventSink::flush(&self.bounded).await;
    }

    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        self.bounded.close(stopping, deadline).await
    }
}

impl fmt::Debug for AuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditSink")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
