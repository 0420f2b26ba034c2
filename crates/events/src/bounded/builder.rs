//! How a bounded sink is made.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::bounded::after::OnDrop;
use crate::bounded::core::Core;
use crate::bounded::deliver::Way;
use crate::bounded::lanes::End;
use crate::bounded::pump::{Manner, Pump};
use crate::bounded::shelf::Shelf;
use crate::bounded::state::{Limits, Patience};
use crate::bounded::{BoundedSink, BreakerPolicy, Loss, Overflow, RetryPolicy};

/// Says how much a [`BoundedSink`] may hold, and what it does when it is full or cannot deliver.
#[must_use = "a builder makes a sink when it is told to start"]
pub struct BoundedSinkBuilder {
    way: Way,
    limits: Limits,
    /// How long `emit` waits with everything, if it does.
    wait: Option<Duration>,
    shelf: Option<Box<dyn Shelf>>,
    manner: Manner,
    audit_wait: Duration,
    on_drop: Option<Box<OnDrop>>,
}

impl BoundedSinkBuilder {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            limits: Limits {
                capacity: 16_384,
                bytes: None,
                evicts: End::Newest,
            },
            wait: None,
            shelf: None,
            manner: Manner::default(),
            audit_wait: Duration::from_secs(1),
            on_drop: None,
        }
    }

    /// Holds at most so many events, what is being delivered among them. 16 384 if nothing is said.
    pub fn capacity(mut self, events: NonZeroUsize) -> Self {
        self.limits.capacity = events.get();
        self
    }

    /// Holds at most about so many bytes; what an event weighs is worked out from what is in it. No bound if nothing is said.
    pub fn bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.limits.bytes = Some(bytes.get());
        self
    }

    /// What happens to an event for which there is no room. [`Overflow::DropNewest`] if nothing is said.
    pub fn overflow(mut self, overflow: impl Into<Overflow>) -> Self {
        (self.limits.evicts, self.wait, self.shelf) = (End::Newest, None, None);
        match overflow.into() {
            Overflow::DropNewest => {}
            Overflow::DropOldest => self.limits.evicts = End::Oldest,
            Overflow::Wait(limit) => self.wait = Some(limit),
            Overflow::Spill(spill) => self.shelf = Some(spill),
        }
        self.manner.endures = self.shelf.is_some();
        self
    }

    /// How long `emit` waits with what the engine says where [`Overflow`] is not `Wait`. A second if nothing is said.
    pub fn audit_wait(mut self, limit: Duration) -> Self {
        self.audit_wait = limit;
        self
    }

    /// Delivers at most so many events at once, and never more than half of what the sink may hold, so that there is always
    /// something left that can make room. 512 if nothing is said.
    pub fn batch(mut self, events: NonZeroUsize) -> Self {
        self.manner.batch = events.get();
        self
    }

    /// Waits so long for a batch to fill after its first event. Not at all if nothing is said.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.manner.linger = limit;
        self
    }

    /// How often a transient failure is tried again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.manner.retry = policy;
        self
    }

    /// When delivery rests.
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.manner.breaker = policy;
        self
    }

    /// How long one call of the exporter may take; longer is a transient failure. Ten seconds if nothing is said.
    pub fn export_timeout(mut self, limit: Duration) -> Self {
        self.manner.export_timeout = limit;
        self
    }

    /// Is told of every loss, on the thread on which it happens, soon after it was counted: it must be quick. It may use the
    /// sink; of what is lost by that it is not told. A panic in it goes no further.
    pub fn on_drop(mut self, hook: impl Fn(&Loss) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(hook));
        self
    }

    /// The sink, with a task of its own that delivers what it takes.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> BoundedSink {
        let (sink, pump) = self.build();
        tokio::runtime::Handle::current().spawn(pump);
        sink
    }

    /// The sink, and the future that delivers what it takes, for those who run it themselves. It needs tokio's timers.
    #[must_use = "nothing is delivered unless the pump is polled"]
    pub fn build(mut self) -> (BoundedSink, Pump) {
        let most = self.limits.capacity.div_ceil(2);
        self.manner.batch = self.manner.batch.min(most);
        let core = Arc::new(Core::new(self.limits, self.shelf, self.on_drop));
        let patience = match self.wait {
            Some(limit) => (Patience::Everybody, limit),
            None => (Patience::Audit, self.audit_wait),
        };
        let pump = Pump::new(Arc::clone(&core), self.way, self.manner);
        (BoundedSink::new(core, patience), pump)
    }
}

impl std::fmt::Debug for BoundedSinkBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundedSinkBuilder")
            .field("limits", &self.limits)
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}
