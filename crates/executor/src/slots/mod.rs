//! Limits that hold across the runs of an engine: slots, pools, priority.
//!
//! ```text
//!   Plan: pools, limits ──▶ Desk (one for a pipeline) ──▶ RunSlots (one for a run) ──▶ Holding (one for a stage)
//!                              │                                                          │
//!   Engine: slots, pools ──▶ Slots ── Book: who has what, who waits ◀── Ticket, Permit ◀──┘
//! ```

mod book;
mod clock;
mod desk;
mod error;
mod holding;
mod lend;
mod priority;
mod run;
mod ticket;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use stageflow_context::StageName;
use stageflow_graph::Plan;

pub(crate) use self::book::Standing;
use self::book::{Book, Need, Needs, Order, PoolId};
use self::desk::Desk;
use crate::sabotage::{Fault, Saboteur};

pub use self::error::{PoolError, PoolErrorKind};
pub(crate) use self::holding::Holding;
pub(crate) use self::lend::wait;

pub use self::lend::Lend;
pub use self::priority::Priority;
pub(crate) use self::run::{RunSlots, acquire_for_part, lend};
pub(crate) use self::ticket::{Asked, Permit, Ticket};
pub use self::view::{PoolUsage, SlotUsage};

/// What a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolKind {
    /// The engine's slots: every stage of every run takes one.
    Engine,
    /// A pool of the engine, with its name.
    Named(Arc<str>),
    /// The limit of the pipeline with this name.
    Pipeline(Arc<str>),
    /// The limit of the stage with this name.
    Stage(StageName),
}

/// What an engine is told of its slots and pools.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotSettings {
    pub(crate) slots: Option<NonZeroUsize>,
    pub(crate) pools: BTreeMap<Arc<str>, NonZeroU32>,
}

/// All slots and pools of an engine.
pub(crate) struct Slots {
    book: Mutex<Book>,
    /// What every stage needs.
    everyone: Option<Needs>,
    engine: Option<PoolId>,
    named: BTreeMap<Arc<str>, (PoolId, NonZeroU32)>,
    /// By the address of the plan, which the desk keeps alive.
    desks: Mutex<HashMap<usize, Weak<Desk>>>,
}

impl Slots {
    pub(crate) fn new(settings: SlotSettings, saboteur: &Saboteur) -> Arc<Self> {
        let strict = saboteur.strikes(Fault::PriorityOnly);
        let mut book = Book::new(if strict { Order::Strict } else { Order::Fair });
        let engine = settings.slots.map(|slots| book.open(slots.get() as u64));
        let everyone = engine.map(|pool| {
            let units = NonZeroU32::MIN;
            Needs::from([Need { pool, units }])
        });
        let named = settings.pools.into_iter().map(|(name, units)| {
            let pool = book.open(units.get().into());
            (name, (pool, units))
        });
        Arc::new(Self {
            named: named.collect(),
            book: Mutex::new(book),
            everyone,
            engine,
            desks: Mutex::default(),
        })
    }

    /// The desk for a run of this plan, if its stages need anything.
    ///
    /// # Errors
    ///
    /// Every pool that a stage names and cannot use.
    pub(crate) fn desk(
        self: &Arc<Self>,
        plan: &Arc<Plan>,
    ) -> Result<Option<Arc<Desk>>, Vec<PoolError>> {
        if !plan.is_limited() {
            let counts = self.everyone.is_some();
            return Ok(counts.then(|| Arc::new(Desk::plain(self, plan))));
        }
        let mut desks = lock(&self.desks);
        let place = desks.entry(Arc::as_ptr(plan).addr()).or_default();
        if let Some(desk) = place.upgrade() {
            return Ok(Some(desk));
        }
        let opened = Desk::open(self, plan).map(Arc::new);
        match &opened {
            Ok(desk) => *place = Arc::downgrade(desk),
            Err(_) => drop(desks.remove(&Arc::as_ptr(plan).addr())),
        }
        opened.map(Some)
    }

    /// The last run of a pipeline is over: its limits are forgotten.
    fn forget(&self, desk: &Desk) {
        let mut desks = lock(&self.desks);
        let place = Arc::as_ptr(desk.plan()).addr();
        if desks
            .get(&place)
            .is_some_and(|desk| desk.strong_count() == 0)
        {
            desks.remove(&place);
        }
        drop(desks);
        self.with(|book, _| desk.own().iter().for_each(|(pool, _)| book.close(*pool)));
    }

    /// Does something with the book, and wakes whoever it has served once it is closed again.
    fn with<T>(&self, act: impl FnOnce(&mut Book, &mut Vec<Waker>) -> T) -> T {
        let mut wakers = Vec::new();
        let done = act(&mut lock(&self.book), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        done
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("everyone", &self.everyone)
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing of a user's runs while one of these is locked, and nothing in there panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
