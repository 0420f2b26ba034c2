//! Where events go.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BoundedCounts, Event, EventRecord, RunHeader, Stopping};

/// Some events of one run, in order. Engines hand events over in batches, so that a stage costs no shared write.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// What the events have in common.
    pub run: Arc<RunHeader>,
    /// The events.
    pub events: Vec<Event>,
}

impl Batch {
    /// These events of this run.
    #[must_use]
    pub fn new(run: Arc<RunHeader>, events: Vec<Event>) -> Self {
        Self { run, events }
    }
}

/// What became of a batch: every event was accepted or dropped, never both, never neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "dropped events must be counted"]
#[non_exhaustive]
pub struct Receipt {
    /// How many events the sink took.
    pub accepted: u64,
    /// How many it did not.
    pub dropped: u64,
    /// How many of those dropped must not be lost: see [`Lane::Audit`](crate::Lane::Audit).
    pub dropped_audit: u64,
    /// How many events that were taken before had to go to make room for these.
    pub evicted: u64,
}

impl Receipt {
    /// So many taken, so many not.
    pub const fn new(accepted: u64, dropped: u64) -> Self {
        Self {
            accepted,
            dropped,
            dropped_audit: 0,
            evicted: 0,
        }
    }

    /// The same, where so many of those dropped must not be lost.
    pub const fn with_dropped_audit(self, dropped_audit: u64) -> Self {
        Self {
            dropped_audit,
            ..self
        }
    }

    /// The same, where so many that were taken before had to go.
    pub const fn with_evicted(self, evicted: u64) -> Self {
        Self { evicted, ..self }
    }
}

/// Takes events. Shared by all runs of an engine.
///
/// `try_emit` is called from the task that drives a run: it must not block and should not panic (an engine that sees a
/// panic counts the batch as dropped).
///
/// ```
/// use stageflow_events::{Batch, EventSink, Receipt};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Default)]
/// struct Count(AtomicU64);
///
/// impl EventSink for Count {
///     fn try_emit(&self, batch: Batch) -> Receipt {
///         let count = batch.events.len() as u64;
///         self.0.fetch_add(count, Ordering::Relaxed);
///         Receipt::new(count, 0)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event sink",
    label = "this cannot take events",
    note = "use `BoundedSink`, `MemorySink` or `TracingSink`, or implement `EventSink`: `try_emit` takes a batch and says how much of it was taken"
)]
#[async_trait]
pub trait EventSink: Send + Sync + 'static {
    /// Takes what there is room for, at once. Drops the rest, and says how many.
    fn try_emit(&self, batch: Batch) -> Receipt;

    /// Takes the batch, waiting for room if the sink can. Cancellation safe only if the sink says so. The default does not
    /// wait.
    async fn emit(&self, batch: Batch) -> Receipt {
        self.try_emit(batch)
    }

    /// Takes a record that a sink in front of this one has to say, such as `telemetry.dropped`, or that it kept on disk
    /// meanwhile, and says whether it took it. The default does not.
    fn try_record(&self, record: &Arc<EventRecord>) -> Receipt {
        let _ = record;
        Receipt::new(0, 1)
    }

    /// Waits until what was accepted has been delivered. The default has nothing to wait for.
    async fn flush(&self) {}

    /// Stops the bounded sinks in it, all at the same time and by this deadline, and says what became of what each was given:
    /// see [`BoundedSink::stop`](crate::BoundedSink::stop). The default has none in it. A sink that stands around another one
    /// passes this on.
    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        let _ = (stopping, deadline);
        Vec::new()
    }
}

/// What a bounded sink did until it was stopped. Nothing is queued any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoppedSink {
    /// The name that its [`FanOut`](crate::FanOut) has for it, with the names of those around it in front: `audit/disk`. Empty
    /// if it has none.
    pub name: Arc<str>,
    /// What became of what it was given.
    pub counts: BoundedCounts,
}

impl StoppedSink {
    /// One without a name.
    pub(crate) fn unnamed(counts: BoundedCounts) -> Self {
        Self {
            name: Arc::from(""),
            counts,
        }
    }

    /// The same, in something that has a name.
    pub(crate) fn inside(self, name: &Arc<str>) -> Self {
        let name = match &*self.name {
            "" => Arc::clone(name),
            inner => format!("{name}/{inner}").into(),
        };
        Self { name, ..self }
    }
}

#[async_trait]
impl<S: EventSink + ?Sized> EventSink for Arc<S> {
    fn try_emit(&self, batch: Batch) -> Receipt {
        (**self).try_emit(batch)
    }

    async fn emit(&self, batch: Batch) -> Receipt {
        (**self).emit(batch).await
    }

    fn try_record(&self, record: &Arc<EventRecord>) -> Receipt {
        (**self).try_record(record)
    }

    async fn flush(&self) {
        (**self).flush().await;
    }

    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        (**self).close(stopping, deadline).await
    }
}
