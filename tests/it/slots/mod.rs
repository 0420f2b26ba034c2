//! Slots, pools, limits and priorities: what holds across the runs of an engine.

mod budgets;
mod endings;
mod lending;
mod limits;
mod parts;
mod priority;
mod queued;
mod refused;
mod threads;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stageflow::prelude::*;

pub(crate) fn units(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

pub(crate) fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// What the stages themselves say they use: the most at any time, and now.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<(AtomicU64, AtomicU64)>);

impl Ledger {
    pub(crate) fn take(&self, units: u64) -> Taken {
        let now = self.0.0.fetch_add(units, Ordering::SeqCst) + units;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        Taken(self.clone(), units)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.0.1.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Taken(Ledger, u64);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

/// A stage that takes so many milliseconds, and writes down in the ledger that it runs.
pub(crate) fn busy(
    ledger: &Ledger,
    uses: u64,
    millis: u64,
) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let ledger = ledger.clone();
    stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        let ledger = ledger.clone();
        async move {
            let _taken = ledger.take(uses);
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
            Ok::<_, Stop>(*n)
        }
    })
}

/// How much of a pool is in use, and how many wait for it.
pub(crate) fn level(engine: &Engine, pool: &str) -> (u64, usize) {
    let usage = engine.slots();
    let pool = usage.pool(pool).unwrap();
    (pool.in_use, pool.waiting.values().sum())
}
