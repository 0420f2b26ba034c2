//! Counts what stages do, so that a test can prove that nothing outlives its run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts calls of stages and how many are alive. Clones count together; one probe may watch any number of stages.
///
/// ```
/// use stageflow_testkit::Probe;
///
/// let probe = Probe::new();
/// let first = probe.enter();
/// drop(probe.enter());
/// assert_eq!((probe.calls(), probe.live(), probe.peak()), (2, 1, 2));
/// first.done();
/// assert_eq!((probe.ended(), probe.dropped(), probe.live()), (1, 1, 0));
/// ```
#[derive(Clone, Default)]
pub struct Probe(Arc<Counts>);

#[derive(Default)]
struct Counts {
    calls: AtomicUsize,
    live: AtomicUsize,
    peak: AtomicUsize,
    ended: AtomicUsize,
}

impl Probe {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one more call, alive until the guard is gone. Put it into the first line of a stage's future.
    pub fn enter(&self) -> LiveGuard {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let live = self.0.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.peak.fetch_max(live, Ordering::SeqCst);
        LiveGuard(self.clone())
    }

    /// How many calls were started.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// How many are alive: started, and neither ended nor dropped.
    #[must_use]
    pub fn live(&self) -> usize {
        self.0.live.load(Ordering::SeqCst)
    }

    /// The most that were alive at one time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }

    /// How many ran to their end.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.0.ended.load(Ordering::SeqCst)
    }

    /// How many were dropped on the way, or panicked.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.calls() - self.live() - self.ended()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("calls", &self.calls())
            .field("live", &self.live())
            .field("peak", &self.peak())
            .field("ended", &self.ended())
            .finish()
    }
}

/// One call that is alive. Made by [`Probe::enter`]; its drop is what counts.
#[derive(Debug)]
#[must_use = "the call counts as alive only while the guard is kept"]
pub struct LiveGuard(Probe);

impl LiveGuard {
    /// The call has run to its end.
    pub fn done(self) {
        self.0.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.0.0.live.fetch_sub(1, Ordering::SeqCst);
    }
}
