//! Values that count how many of them there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Counts {
    made: AtomicU64,
    gone: AtomicU64,
    cleaned: AtomicU64,
    registered: AtomicU64,
}

/// Counts what is made and what is gone. Clones count together.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Counts>);

/// A value of some size; its end is counted, however it comes.
pub(super) struct Tracked {
    ledger: Ledger,
    _load: [u64; 16],
}

impl Ledger {
    pub(super) fn value(&self) -> Tracked {
        self.0.made.fetch_add(1, Ordering::SeqCst);
        Tracked {
            ledger: self.clone(),
            _load: [7; 16],
        }
    }

    pub(super) fn made(&self) -> u64 {
        self.0.made.load(Ordering::SeqCst)
    }

    pub(super) fn alive(&self) -> i64 {
        self.made() as i64 - self.0.gone.load(Ordering::SeqCst) as i64
    }

    pub(super) fn register(&self) {
        self.0.registered.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn clean(&self) {
        self.0.cleaned.fetch_add(1, Ordering::SeqCst);
    }

    /// Cleanups that were registered, and that have run.
    pub(super) fn cleanups(&self) -> (u64, u64) {
        (
            self.0.registered.load(Ordering::SeqCst),
            self.0.cleaned.load(Ordering::SeqCst),
        )
    }
}

impl Tracked {
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.ledger.0.gone.fetch_add(1, Ordering::SeqCst);
    }
}
