//! The runs of an engine that wait for something: whom a shutdown has to tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use stageflow_context::{CancelReason, RunHost as _};
use tokio::sync::Notify;

use crate::shared::RunShared;

/// A run is listed when it suspends for the first time: one that never does costs nothing here.
#[derive(Default)]
pub(crate) struct Registry {
    closing: AtomicBool,
    runs: Mutex<Runs>,
    changed: Notify,
}

#[derive(Default)]
struct Runs {
    places: Vec<Option<Weak<RunShared>>>,
    free: Vec<usize>,
}

impl Registry {
    /// Whether the engine takes no more runs.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Takes no more runs, and tells those that wait. Gives the number of those that were not told before.
    pub(crate) fn close(&self) -> usize {
        self.closing.store(true, Ordering::SeqCst);
        // Children are told by their parents, so that each of them says why its parent stopped.
        let mut roots = self.waiting();
        roots.retain(|run| run.identity().parent().is_none());
        roots
            .iter()
            .filter(|run| run.ask_to_stop(CancelReason::Shutdown))
            .count()
    }

    /// The runs that are listed.
    pub(crate) fn waiting(&self) -> Vec<Arc<RunShared>> {
        let runs = lock(&self.runs);
        runs.places
            .iter()
            .flatten()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Waits until no run is listed.
    pub(crate) async fn empty(&self) {
        loop {
            // Registered before the look, so that an end in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if lock(&self.runs).is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn add(&self, run: &Arc<RunShared>) -> usize {
        let run = Some(Arc::downgrade(run));
        let mut runs = lock(&self.runs);
        match runs.free.pop() {
            Some(place) => {
                runs.places[place] = run;
                place
            }
            None => {
                runs.places.push(run);
                runs.places.len() - 1
            }
        }
    }

    fn remove(&self, place: usize) {
        let mut runs = lock(&self.runs);
        let run = runs.places[place].take();
        runs.free.push(place);
        let is_last = runs.is_empty();
        drop(runs);
        drop(run);
        if is_last {
            self.changed.notify_waiters();
        }
    }
}

impl Runs {
    fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }
}

/// A run's place in the list; given back when the run is over, wherever it ends.
pub(crate) struct Listing {
    run: Arc<RunShared>,
    place: usize,
}

impl Listing {
    /// Lists a run. If the engine is closing, the run is told at once.
    pub(crate) fn of(run: &Arc<RunShared>) -> Self {
        let registry = &run.engine.registry;
        let place = registry.add(run);
        // A shutdown closes first and looks at the list then: one of the two tells the run.
        if registry.closing.load(Ordering::SeqCst) && run.identity().parent().is_none() {
            run.ask_to_stop(CancelReason::Shutdown);
        }
        Self {
            run: Arc::clone(run),
            place,
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.run.engine.registry.remove(self.place);
    }
}

fn lock(runs: &Mutex<Runs>) -> MutexGuard<'_, Runs> {
    // Every critical section is one look, one insertion or one removal.
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}
