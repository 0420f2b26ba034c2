//! Which of a run's suspended stages want to be polled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

use crate::shared::RunShared;

/// The places that were woken, and whom to tell.
#[derive(Default)]
pub(crate) struct WakeList {
    woken: Mutex<Vec<u32>>,
    driver: AtomicWaker,
    /// While the driver is at work it looks at the list by itself before it rests.
    at_work: AtomicBool,
}

impl WakeList {
    pub(crate) fn wake_driver(&self) {
        if !self.at_work.load(Ordering::SeqCst) {
            self.driver.wake();
        }
    }

    /// The driver starts a turn. What is woken from now on does not wake the driver as well.
    pub(crate) fn begin_turn(&self, waker: &Waker) {
        self.driver.register(waker);
        self.at_work.store(true, Ordering::SeqCst);
    }

    /// The driver is about to rest. It must look once more afterwards: what was woken before this went unannounced.
    pub(crate) fn end_turn(&self) {
        self.at_work.store(false, Ordering::SeqCst);
    }

    /// Moves the places that were woken to the end of `into`.
    pub(crate) fn take(&self, into: &mut Vec<u32>) {
        into.append(&mut self.lock());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one place. It outlives the stage that sits there: a late wake of an earlier stage is a spurious wake of a
/// later one, which every future must bear.
pub(crate) struct PlaceWaker {
    run: Arc<RunShared>,
    place: u32,
    woken: AtomicBool,
}

impl PlaceWaker {
    pub(crate) fn new(run: Arc<RunShared>, place: u32) -> Arc<Self> {
        Arc::new(Self { run, place, woken: AtomicBool::new(false) })
    }

    /// The driver is about to poll: wakes from now on count again.
    pub(crate) fn rearm(&self) {
        // Looked at first: a store that others must see is dear, and most polls need none.
        if self.woken.load(Ordering::SeqCst) {
            self.woken.store(false, Ordering::SeqCst);
        }
    }
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.run.wake.lock().push(self.place);
            self.run.wake.wake_driver();
        }
    }
}
