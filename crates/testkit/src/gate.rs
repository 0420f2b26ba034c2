//! Gates that hold stages back until a test lets them through.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Holds stages back until the test opens it: manual steps in place of guessed delays. Clones are the same gate.
///
/// ```
/// use stageflow_testkit::{Gate, paused};
///
/// paused(async {
///     let gate = Gate::new();
///     let visitors = futures_util::future::join(gate.passed(), gate.passed());
///     let keeper = async {
///         gate.crowd(2).await; // both stand there
///         gate.let_through(1);
///         gate.open();
///     };
///     futures_util::future::join(visitors, keeper).await;
///     assert_eq!(gate.waiting(), 0);
/// });
/// ```
#[derive(Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    changed_for_threads: Condvar,
}

#[derive(Clone, Copy, Default)]
struct State {
    open: bool,
    passes: usize,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.change(|state| state.open = true);
    }

    /// Lets so many through, now or when they come.
    pub fn let_through(&self, count: usize) {
        self.change(|state| state.passes += count);
    }

    /// Whether it was opened for everybody.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().open
    }

    /// How many stand there.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Waits until it is let through. Cancellation safe: dropped while waiting, it takes nobody's place.
    pub async fn passed(&self) {
        let _standing = Standing::at(self);
        self.until(|state| state.try_pass()).await;
    }

    /// Waits until at least `count` stand there. Cancellation safe.
    pub async fn crowd(&self, count: usize) {
        self.until(|state| state.waiting >= count).await;
    }

    /// Holds the thread until it is let through: for stages that block.
    pub fn hold_thread(&self) {
        let _standing = Standing::at(self);
        let mut state = self.lock();
        while !state.try_pass() {
            state = self
                .0
                .changed_for_threads
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    async fn until(&self, mut holds: impl FnMut(&mut State) -> bool) {
        loop {
            // Registered before the look, so that a change in between is not missed.
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if holds(&mut self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.notify_waiters();
        self.0.changed_for_threads.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn try_pass(&mut self) -> bool {
        let passes = self.open || self.passes > 0;
        if passes && !self.open {
            self.passes -= 1;
        }
        passes
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State {
            open,
            passes,
            waiting,
        } = *self.lock();
        f.debug_struct("Gate")
            .field("open", &open)
            .field("passes", &passes)
            .field("waiting", &waiting)
            .finish()
    }
}

/// Counts one visitor, however it goes away.
struct Standing<'a>(&'a Gate);

impl<'a> Standing<'a> {
    fn at(gate: &'a Gate) -> Self {
        gate.change(|state| state.waiting += 1);
        Self(gate)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}
