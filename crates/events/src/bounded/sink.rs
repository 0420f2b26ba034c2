//! The sink itself: a handle.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::bounded::builder::BoundedSinkBuilder;
use crate::bounded::core::Core;
use crate::bounded::deliver::Way;
use crate::bounded::over::Over;
use crate::bounded::state::{Closer, Patience};
use crate::bounded::{BoundedCounts, Flushed, Health, LossCount, LossReason, NotTaken, Stopping};
use crate::{Batch, Courier, Event, EventSink, Exporter, Receipt, RunHeader, StoppedSink};

/// How long [`EventSink::flush`] waits, which has no deadline of its own.
const FLUSH: Duration = Duration::from_secs(30);

/// Stands in front of something that may be slow, failing or gone: takes events at once, delivers them in the background,
/// and counts what it could not take or deliver.
///
/// A clone is another handle of the same sink. It holds a bounded number of events, and says what happens beyond that
/// ([`Overflow`](crate::Overflow)). What the engine says is never lost before what stages say. [`BoundedSink::counts`] adds up at any moment:
/// `offered = accepted + dropped`, `accepted = delivered + failed + discarded + queued`. Where something is missing in a
/// run's stream, a record `telemetry.dropped` says how much, once there is room again. The log says it, too: at most one line
/// in ten seconds, with the target `stageflow`.
///
/// A sink that was stopped stays stopped: whatever comes later is dropped, and counted. When the last handle is dropped
/// without that, what is held is still delivered, as long as that takes no longer than one call of the exporter may.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use stageflow_events::{BoundedSink, MemorySink, Stopping};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let kept = Arc::new(MemorySink::bounded(NonZeroUsize::new(100).unwrap()));
/// let sink = BoundedSink::over(Arc::clone(&kept)).capacity(NonZeroUsize::new(1_000).unwrap()).start();
/// // ... hand a clone to an engine, run something ...
/// let counts = sink.stop(Stopping::Drain, Duration::from_secs(5)).await;
/// assert_eq!(counts.offered, counts.accepted + counts.dropped);
/// assert_eq!(counts.accepted, counts.delivered + counts.failed + counts.discarded);
/// # }
/// ```
#[derive(Clone)]
pub struct BoundedSink {
    handle: Arc<Handle>,
}

/// What all clones share; the pump does not, so that the last drop is seen.
struct Handle {
    core: Arc<Core>,
    /// What of a batch waits for room, and how long.
    patience: (Patience, Duration),
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.close(Closer::LastDrop, Stopping::Drain);
    }
}

impl BoundedSink {
    /// A sink in front of this exporter.
    pub fn builder(exporter: impl Exporter) -> BoundedSinkBuilder {
        BoundedSinkBuilder::new(Way::Whole(Box::new(exporter)))
    }

    /// A sink in front of somebody who says of each event what became of it.
    pub fn each(courier: impl Courier) -> BoundedSinkBuilder {
        BoundedSinkBuilder::new(Way::Each(Box::new(courier)))
    }

    /// A sink in front of another sink. Where that one waits for room, this one's queue fills.
    ///
    /// Which of the events of a batch another sink refuses is not known: the last ones are taken to be it.
    pub fn over(sink: impl EventSink) -> BoundedSinkBuilder {
        BoundedSinkBuilder::new(Way::Whole(Box::new(Over(sink))))
    }

    pub(super) fn new(core: Arc<Core>, patience: (Patience, Duration)) -> Self {
        Self {
            handle: Arc::new(Handle { core, patience }),
        }
    }

    fn core(&self) -> &Core {
        &self.handle.core
    }

    /// Offers one event of this run, at once: as [`EventSink::try_emit`] does, but without a list around it, and with the
    /// event given back if there is no room. Never blocks, and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`NotTaken`], with the event and the reason. It is counted as dropped by then; offering it again counts it again.
    #[inline]
    pub fn try_emit_one(&self, run: &Arc<RunHeader>, event: Event) -> Result<(), NotTaken> {
        self.core().offer_one(run, event)
    }

    /// What it did so far, at one moment.
    #[must_use]
    pub fn counts(&self) -> BoundedCounts {
        self.core().counts()
    }

    /// What was dropped, discarded or failed so far, by type, reason and org.
    #[must_use]
    pub fn losses(&self) -> Vec<LossCount> {
        self.core().losses()
    }

    /// Whether delivery works.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core().health()
    }

    /// Waits until all that was accepted before is settled and the exporter has flushed, but not longer than this. May be
    /// dropped at any time.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers.
    pub async fn flush(&self, deadline: Duration) -> Flushed {
        let asked = Asked {
            core: self.core(),
            id: self.core().ask_for_flush(),
        };
        let flushed = poll_fn(|cx| asked.core.poll_flush(asked.id, cx));
        match tokio::time::timeout(deadline, flushed).await {
            Ok(flushed) => flushed,
            Err(_) => self.core().not_yet(),
        }
    }

    /// Takes nothing more, and delivers what it holds or discards it. It returns when that is done, or at the deadline with
    /// the rest discarded: always, whatever the exporter does. What it returns has nothing queued.
    ///
    /// Nobody needs to wait for it to the end: the sink is closed as soon as this is polled, and if the future is dropped what
    /// is held goes out without a deadline. A second call waits for the same end.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers.
    pub async fn stop(&self, stopping: Stopping, deadline: Duration) -> BoundedCounts {
        self.core().close(Closer::Stop, stopping);
        let ended = poll_fn(|cx| self.core().poll_ended(cx));
        if tokio::time::timeout(deadline, ended).await.is_err() {
            self.core().end();
        }
        self.counts()
    }
}

#[async_trait]
impl EventSink for BoundedSink {
    /// Never blocks, and needs no runtime.
    #[inline]
    fn try_emit(&self, batch: Batch) -> Receipt {
        self.core().offer(batch)
    }

    /// Waits for room as [`Overflow`](crate::Overflow) says, in the order of the calls; what the engine says also waits where nothing else
    /// does, for as long as the builder's `audit_wait`. If it is dropped meanwhile, what has found no room by then is counted
    /// as dropped. It needs tokio's timers only if it has to wait.
    async fn emit(&self, batch: Batch) -> Receipt {
        let (patience, limit) = self.handle.patience;
        let id = match self.core().offer_or_wait(batch, patience) {
            Ok(receipt) => return receipt,
            Err(id) => id,
        };
        let mut waits = Waits {
            core: self.core(),
            id: Some(id),
        };
        let served = poll_fn(|cx| waits.core.poll_waiter(id, cx));
        let receipt = tokio::time::timeout(limit, served).await;
        waits.id = None;
        receipt.unwrap_or_else(|_| self.core().give_up(id, LossReason::Full))
    }

    /// Waits for at most thirty seconds.
    async fn flush(&self) {
        // Whoever wants to know asks the other one.
        let _ = Self::flush(self, FLUSH).await;
    }

    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        let counts = self.stop(stopping, deadline).await;
        vec![StoppedSink::unnamed(counts)]
    }
}

impl fmt::Debug for BoundedSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSink")
            .field("counts", &self.counts())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// A place in the row of those who wait, given up when it is dropped.
struct Waits<'a> {
    core: &'a Core,
    id: Option<u64>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // Nobody is left to be told, but it is counted.
            let _ = self.core.give_up(id, LossReason::Abandoned);
        }
    }
}

/// A flush that was asked for, taken back when it is dropped.
struct Asked<'a> {
    core: &'a Core,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.core.forget_flush(self.id);
    }
}
