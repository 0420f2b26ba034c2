//! What is overloaded: a bounded sink, and sinks that are bounded badly.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stageflow::context::{ContextSnapshot, RunId, RunIdentity, SystemIds};
use stageflow::events::{Batch, Event, EventKind, EventSink, MemorySink, Receipt, RunHeader};

use crate::Lab;

/// A sink with a queue that somebody empties. Another policy than dropping the newest needs another model, and nothing else.
pub(crate) trait Queue: EventSink {
    /// Takes out everything that waits, oldest first.
    fn take(&self) -> Vec<Batch>;

    fn counts(&self) -> Counts;
}

/// What a queue says of itself at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) dropped: u64,
    pub(crate) taken: u64,
    pub(crate) queued: u64,
}

impl Counts {
    pub(crate) fn balance(&self) -> bool {
        self.offered == self.accepted + self.dropped && self.accepted == self.taken + self.queued
    }
}

impl Queue for MemorySink {
    fn take(&self) -> Vec<Batch> {
        self.drain()
    }

    fn counts(&self) -> Counts {
        let counts = Self::counts(self);
        Counts {
            offered: counts.offered,
            accepted: counts.accepted,
            dropped: counts.dropped,
            taken: counts.drained,
            queued: counts.queued,
        }
    }
}

/// The queue of a scenario: as the library has it, or broken as the control says.
pub(crate) fn queue(lab: &Lab, capacity: u64) -> Arc<dyn Queue> {
    let fault = Fault::ALL
        .into_iter()
        .find(|fault| lab.is_broken(fault.name()));
    match fault {
        None => Arc::new(memory(capacity)),
        Some(Fault::KeepsNewest) => Arc::new(KeepsNewest {
            capacity,
            kept: Mutex::default(),
        }),
        Some(fault) => Arc::new(Broken {
            inner: memory(match fault {
                Fault::Unbounded => u64::MAX / 2,
                _ => capacity,
            }),
            fault,
            chances: AtomicU64::new(0),
            hidden: AtomicU64::new(0),
        }),
    }
}

fn memory(capacity: u64) -> MemorySink {
    MemorySink::bounded(NonZeroUsize::new(capacity as usize).unwrap_or(NonZeroUsize::MIN))
}

/// How a queue of our own is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Blocks,
    DropsUncounted,
    KeepsNewest,
    Swaps,
    Unbounded,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [
        Self::Blocks,
        Self::DropsUncounted,
        Self::KeepsNewest,
        Self::Swaps,
        Self::Unbounded,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::DropsUncounted => "drops-uncounted",
            Self::KeepsNewest => "keeps-newest",
            Self::Swaps => "swaps",
            Self::Unbounded => "unbounded",
        }
    }

    pub(crate) fn breaks(self) -> &'static str {
        match self {
            Self::Blocks => "a sink that holds the caller for a millisecond, once in 500 calls",
            Self::DropsUncounted => {
                "a sink that loses one event in 10 000 and counts it as delivered"
            }
            Self::KeepsNewest => "a sink that drops the oldest and says it dropped the newest",
            Self::Swaps => "a sink that swaps two neighbours every 10 000 events",
            Self::Unbounded => "a sink that takes everything",
        }
    }
}

struct Broken {
    inner: MemorySink,
    fault: Fault,
    chances: AtomicU64,
    hidden: AtomicU64,
}

impl Broken {
    /// True once in `every` events.
    fn strikes(&self, events: usize, every: u64) -> bool {
        let before = self.chances.fetch_add(events as u64, Ordering::Relaxed);
        before / every != (before + events as u64) / every
    }
}

impl EventSink for Broken {
    fn try_emit(&self, mut batch: Batch) -> Receipt {
        match self.fault {
            Fault::Blocks if self.strikes(1, 500) => hold(Duration::from_millis(1)),
            Fault::DropsUncounted if self.strikes(batch.events.len(), 10_000) => {
                batch.events.pop();
                self.hidden.fetch_add(1, Ordering::Relaxed);
                let receipt = self.inner.try_emit(batch);
                return Receipt::new(receipt.accepted + 1, receipt.dropped);
            }
            _ => {}
        }
        self.inner.try_emit(batch)
    }
}

impl Queue for Broken {
    fn take(&self) -> Vec<Batch> {
        let mut batches = self.inner.drain();
        if self.fault == Fault::Swaps {
            let events = batches.iter().map(|batch| batch.events.len()).sum();
            if self.strikes(events, 10_000)
                && let Some(batch) = batches.iter_mut().find(|batch| batch.events.len() > 1)
            {
                batch.events.swap(0, 1);
            }
        }
        batches
    }

    fn counts(&self) -> Counts {
        let mut counts = Queue::counts(&self.inner);
        let hidden = self.hidden.load(Ordering::Relaxed);
        counts.offered += hidden;
        counts.accepted += hidden;
        counts.taken += hidden;
        counts
    }
}

type Kept = (VecDeque<(Arc<RunHeader>, Event)>, Counts);

/// Makes room by dropping the oldest, where the newest should go.
struct KeepsNewest {
    capacity: u64,
    kept: Mutex<Kept>,
}

impl KeepsNewest {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for KeepsNewest {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let offered = batch.events.len() as u64;
        let mut kept = self.lock();
        let (queue, counts) = &mut *kept;
        let accepted = offered.min(self.capacity - queue.len() as u64);
        for event in batch.events {
            queue.push_back((Arc::clone(&batch.run), event));
            if queue.len() as u64 > self.capacity {
                queue.pop_front();
            }
        }
        counts.offered += offered;
        counts.accepted += accepted;
        counts.dropped += offered - accepted;
        counts.queued += accepted;
        Receipt::new(accepted, offered - accepted)
    }
}

impl Queue for KeepsNewest {
    fn take(&self) -> Vec<Batch> {
        let mut kept = self.lock();
        kept.1.taken += kept.1.queued;
        kept.1.queued = 0;
        let queue = std::mem::take(&mut kept.0);
        queue
            .into_iter()
            .map(|(run, event)| Batch::new(run, vec![event]))
            .collect()
    }

    fn counts(&self) -> Counts {
        self.lock().1
    }
}

/// Somebody who emits: events with a number of their own, under a header of its own.
#[derive(Clone)]
pub(crate) struct Producer {
    header: Arc<RunHeader>,
    next: u64,
}

impl Producer {
    pub(crate) fn new(name: &str) -> Self {
        let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
        let header = RunHeader::by_hand(
            ContextSnapshot::new(identity),
            name.into(),
            Arc::from([]),
            std::time::SystemTime::UNIX_EPOCH,
        );
        Self {
            header: Arc::new(header),
            next: 0,
        }
    }

    /// The next `count` events, and the number of the first of them.
    pub(crate) fn batch(&mut self, count: u64) -> (Batch, u64) {
        let first = self.next;
        self.next += count;
        let events = (first..self.next).map(|seq| Event::new(seq, seq, EventKind::RunStarted));
        (
            Batch::new(Arc::clone(&self.header), events.collect()),
            first,
        )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sink that blocks is what this control is about"
)]
pub(crate) fn hold(time: Duration) {
    std::thread::sleep(time);
}
