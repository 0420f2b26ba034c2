//! Which of a run's suspended stages want to be polled.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering, fence};
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
    /// The first place, which the run itself is the waker of.
    first: Flag,
}

/// Whether a place was woken since it was polled last.
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// The driver is about to poll: wakes from now on count again.
    #[inline]
    pub(crate) fn rearm(&self) {
        // Looked at first: a store that others must see is dear, and most polls need none.
        if self.0.load(Ordering::SeqCst) {
            self.0.store(false, Ordering::SeqCst);
        }
    }

    /// `true` the first time.
    fn raise(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }
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
        // Pairs with what others do: they leave something first and look at `at_work` then.
        fence(Ordering::SeqCst);
    }

    /// Moves the places that were woken to the end of `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<u32>) {
        into.extend(self.lock().drain(..));
    }

    /// The flag of the first place.
    pub(crate) fn first(&self) -> &Flag {
        &self.first
    }

    fn wake(&self, place: u32) {
        self.lock().push(place);
        self.wake_driver();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run is the waker of its first place, so that a run whose stages never suspend together needs no other.
impl Wake for RunShared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.wake.first.raise() {
            self.wake.wake(0);
        }
    }
}

/// The waker of any other place. It outlives the stage that sits there: a late wake of an earlier stage is a spurious wake
/// of a later one, which every future must bear.
pub(crate) struct PlaceWaker {
    run: Arc<RunShared>,
    place: u32,
    pub(crate) flag: Flag,
}

impl PlaceWaker {
    pub(crate) fn new(run: Arc<RunShared>, place: u32) -> Arc<Self> {
        Arc::new(Self {
            run,
            place,
            flag: Flag::default(),
        })
    }
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.flag.raise() {
            self.run.wake.wake(self.place);
        }
    }
}
