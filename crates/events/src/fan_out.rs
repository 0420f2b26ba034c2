//! One stream of events to several sinks.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::quietly::{let_go, quietly};
use crate::{Batch, EventRecord, EventSink, Lane, Receipt, StoppedSink, Stopping};

/// Gives every event to each of several sinks. One that panics, or is full, harms no other.
///
/// Its receipt says what the worst of them made of the batch: as many are dropped as the sink dropped that dropped the most.
/// So an event counts as accepted only if it is in each of them. [`FanOut::counts`] has what each of them did; a sink that
/// panics has dropped the batch. A sink that blocks or waits holds up whoever emits: put a
/// [`BoundedSink`](crate::BoundedSink) in front of it.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use stageflow_events::{FanOut, MemorySink, TracingSink};
///
/// let kept = Arc::new(MemorySink::bounded(NonZeroUsize::new(100).unwrap()));
/// let sink = FanOut::new().to("log", TracingSink::new()).to("memory", Arc::clone(&kept));
/// // ... hand it to an engine, run something ...
/// for sink in sink.counts() {
///     println!("{}: {} of {}", sink.name, sink.accepted, sink.offered);
/// }
/// ```
#[derive(Default)]
pub struct FanOut {
    arms: Vec<Arm>,
}

struct Arm {
    sink: Box<dyn EventSink>,
    counts: Mutex<FanOutCounts>,
}

/// What one sink behind a [`FanOut`] did so far: `offered = accepted + dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FanOutCounts {
    /// The sink's name.
    pub name: Arc<str>,
    /// Events that were handed to it.
    pub offered: u64,
    /// Events it took.
    pub accepted: u64,
    /// Events it did not take.
    pub dropped: u64,
    /// How often it panicked.
    pub panics: u64,
}

impl FanOut {
    /// To nobody yet. A fan-out without sinks takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// To this sink, too; the name is what it is counted under.
    #[must_use]
    pub fn to(mut self, name: impl Into<Arc<str>>, sink: impl EventSink) -> Self {
        let counts = Mutex::new(FanOutCounts {
            name: name.into(),
            ..FanOutCounts::default()
        });
        let sink = Box::new(sink);
        self.arms.push(Arm { sink, counts });
        self
    }

    /// What each of the sinks did, in the order in which they were given.
    #[must_use]
    pub fn counts(&self) -> Vec<FanOutCounts> {
        let counts = |arm: &Arm| arm.counts().clone();
        self.arms.iter().map(counts).collect()
    }

    /// Stops all [bounded sinks](crate::BoundedSink) in it, at the same time: each takes nothing more, and delivers what it
    /// holds or discards it. Says what became of what each was given, in the order in which they were given; other sinks have
    /// nothing to stop, and no row.
    ///
    /// It returns by the deadline, whatever they send to; what is not delivered by then is discarded, and counted. If it is
    /// dropped, they stay closed, and what they hold goes out without a deadline.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers, if a bounded sink is in it.
    pub async fn stop(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        let stops = self.arms.iter().map(|arm| async move {
            let name = Arc::clone(&arm.counts().name);
            let close = AssertUnwindSafe(async { arm.sink.close(stopping, deadline).await });
            let stopped = close.catch_unwind().await.map_err(let_go);
            let stopped = stopped.unwrap_or_default().into_iter();
            stopped.map(move |sink| sink.inside(&name))
        });
        join_all(stops).await.into_iter().flatten().collect()
    }
}

impl Arm {
    fn counts(&self) -> MutexGuard<'_, FanOutCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what the sink made of so many events; of none if it panicked.
    fn count(&self, offered: Offered, receipt: Option<Receipt>) -> Receipt {
        let mut counts = self.counts();
        counts.panics += u64::from(receipt.is_none());
        let lost = Receipt::new(0, offered.all).with_dropped_audit(offered.audit);
        let receipt = receipt.unwrap_or(lost);
        // A sink that miscounts must not make events vanish from the sum.
        let accepted = receipt.accepted.min(offered.all);
        counts.offered += offered.all;
        counts.accepted += accepted;
        counts.dropped += offered.all - accepted;
        Receipt {
            accepted,
            dropped: offered.all - accepted,
            ..receipt
        }
    }
}

/// How many events are in a batch, and how many of them must not be lost.
#[derive(Clone, Copy)]
struct Offered {
    all: u64,
    audit: u64,
}

impl Offered {
    fn of(batch: &Batch) -> Self {
        let audit = batch.events.iter();
        let audit = audit.filter(|event| Lane::of(event.kind()) == Lane::Audit);
        Self {
            all: batch.events.len() as u64,
            audit: audit.count() as u64,
        }
    }
}

/// The worst of several receipts for the same events.
fn worst(offered: u64, receipts: impl IntoIterator<Item = Receipt>) -> Receipt {
    receipts
        .into_iter()
        .fold(Receipt::new(offered, 0), |sum, receipt| Receipt {
            accepted: sum.accepted.min(receipt.accepted),
            dropped: sum.dropped.max(receipt.dropped),
            dropped_audit: sum.dropped_audit.max(receipt.dropped_audit),
            evicted: sum.evicted + receipt.evicted,
        })
}

/// Counts a wait that was given up as one that got nowhere.
struct Waits<'a> {
    arm: &'a Arm,
    offered: Option<Offered>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(offered) = self.offered {
            let _ = self.arm.count(offered, Some(Receipt::default()));
        }
    }
}

#[async_trait]
impl EventSink for FanOut {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let offered = Offered::of(&batch);
        let emit = |arm: &Arm| {
            let receipt = quietly(|| arm.sink.try_emit(batch.clone()));
            arm.count(offered, receipt)
        };
        worst(offered.all, self.arms.iter().map(emit))
    }

    /// All sinks wait at the same time. If it is dropped meanwhile, the batch counts as dropped for those that still wait.
    async fn emit(&self, batch: Batch) -> Receipt {
        let offered = Offered::of(&batch);
        let emits = self.arms.iter().map(|arm| {
            let batch = batch.clone();
            async move {
                let mut waits = Waits {
                    arm,
                    offered: Some(offered),
                };
                let emit = AssertUnwindSafe(async { arm.sink.emit(batch).await });
                let receipt = emit.catch_unwind().await.map_err(let_go).ok();
                waits.offered = None;
                arm.count(offered, receipt)
            }
        });
        worst(offered.all, join_all(emits).await)
    }

    fn try_record(&self, record: &Arc<EventRecord>) -> Receipt {
        let lost = Receipt::new(0, 1);
        let take = |arm: &Arm| quietly(|| arm.sink.try_record(record)).unwrap_or(lost);
        worst(1, self.arms.iter().map(take))
    }

    async fn flush(&self) {
        let flushes = self.arms.iter().map(|arm| async {
            let flush = AssertUnwindSafe(async { arm.sink.flush().await });
            if let Err(payload) = flush.catch_unwind().await {
                let_go(payload);
            }
        });
        join_all(flushes).await;
    }

    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        self.stop(stopping, deadline).await
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.counts()).finish()
    }
}
