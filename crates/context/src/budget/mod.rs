//! How much may be spent: counted before it is spent, so that stages at work at the same time cannot overshoot.

mod amounts;
mod error;
mod ledger;
mod reservation;
mod within;

use std::convert::Infallible;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use amounts::{Amounts, BudgetLimits, Cost, Dimension, Left, OnExceed};
pub use error::{BudgetError, BudgetErrorKind, BudgetLine, BudgetNotice, BudgetNoticeKind};
pub use reservation::{Booking, Reservation};

use amounts::PerDimension;
use ledger::Ledger;

/// How much may be spent on a run, a user, an org: tokens, cost, steps and time. A clone is the same budget.
///
/// Budgets form a tree: what is reserved from a child is reserved from everything above it, too, all of it or nothing.
/// At every moment and on every level, what is reserved and spent is within the limit; unless a stage spends more than it
/// has reserved, which is booked as an overrun, and blocks what comes after it.
///
/// ```
/// use stageflow_context::{Amounts, Budget, BudgetLimits};
///
/// let org = Budget::new("acme", BudgetLimits::new().tokens(1_000));
/// let run = org.child("answer", BudgetLimits::new().tokens(800))?;
///
/// let call = run.reserve(Amounts::tokens(600))?; // before the model is called
/// assert!(org.reserve(Amounts::tokens(500)).is_err()); // it could be 600 already
/// call.settle(Amounts::tokens(450)); // what it came to
/// assert_eq!(org.spent().tokens, 450);
/// assert_eq!(run.left().tokens, Some(350));
/// # Ok::<(), stageflow_context::BudgetError>(())
/// ```
#[derive(Clone)]
pub struct Budget(Arc<Level>);

struct Level {
    name: Arc<str>,
    /// How many stand above it.
    depth: usize,
    parent: Option<Budget>,
    on_exceed: OnExceed,
    listener: Option<Listener>,
    ledger: Mutex<Ledger>,
    /// How many reservations wait because of this level.
    waiting: AtomicUsize,
    /// Rung when something was given back or a limit was raised, anywhere in the tree.
    freed: Arc<Notify>,
}

type Listener = Box<dyn Fn(BudgetNotice) + Send + Sync>;

/// A reservation that does not fit, and where.
struct Refusal {
    error: BudgetError,
    level: Budget,
}

impl Budget {
    /// How many budgets may stand above a budget.
    pub const MAX_DEPTH: usize = 256;

    /// A budget that stands above all others, called `name` in messages and events.
    pub fn new(name: impl Into<Arc<str>>, limits: BudgetLimits) -> Self {
        Self(Arc::new(Level {
            name: name.into(),
            depth: 0,
            parent: None,
            on_exceed: limits.on_exceed,
            listener: None,
            ledger: Mutex::new(Ledger::new(&limits)),
            waiting: AtomicUsize::new(0),
            freed: Arc::default(),
        }))
    }

    /// A budget below this one: what is spent of it is spent of this one, too.
    ///
    /// # Errors
    ///
    /// [`BudgetErrorKind::TooDeep`] if [`Budget::MAX_DEPTH`] stand above it already.
    pub fn child(
        &self,
        name: impl Into<Arc<str>>,
        limits: BudgetLimits,
    ) -> Result<Self, BudgetError> {
        let name = name.into();
        if self.0.depth < Self::MAX_DEPTH {
            return Ok(self.below(name, &limits, None));
        }
        let line = BudgetLine {
            budget: name,
            dimension: Dimension::Steps,
            limit: Self::MAX_DEPTH as u64,
            used: self.0.depth as u64 + 1,
            asked: 0,
        };
        Err(BudgetError::new(BudgetErrorKind::TooDeep, line))
    }

    /// A budget below this one, without limits of its own, that tells `listener` what happens to it and to those above it
    /// because of what is spent of it. Called by engines, one for each run.
    ///
    /// `listener` is called in whatever task spends, after the books are closed; it should be quick.
    #[must_use]
    pub fn watched(
        &self,
        name: impl Into<Arc<str>>,
        listener: impl Fn(BudgetNotice) + Send + Sync + 'static,
    ) -> Self {
        let listener: Listener = Box::new(listener);
        self.below(name.into(), &BudgetLimits::new(), Some(listener))
    }

    fn below(&self, name: Arc<str>, limits: &BudgetLimits, listener: Option<Listener>) -> Self {
        Self(Arc::new(Level {
            name,
            depth: self.0.depth + 1,
            parent: Some(self.clone()),
            on_exceed: limits.on_exceed,
            listener,
            ledger: Mutex::new(Ledger::new(limits)),
            waiting: AtomicUsize::new(0),
            freed: Arc::clone(&self.0.freed),
        }))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The budget it is part of, if it is part of one.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.0.parent.as_ref()
    }

    /// Sets `amounts` aside, here and on every level above, or nothing at all.
    ///
    /// Give back what was not used with [`Reservation::settle`]; a reservation that is dropped was not used at all.
    ///
    /// # Errors
    ///
    /// [`BudgetErrorKind::Exceeded`] if it does not fit, whatever [`OnExceed`] says; it names the level and the dimension.
    pub fn reserve(&self, amounts: Amounts) -> Result<Reservation, BudgetError> {
        self.try_reserve(amounts)
            .map_err(|refusal| self.refuse(&refusal))
    }

    /// Sets `amounts` aside as [`Budget::reserve`] does, and waits for room for as long as it takes.
    ///
    /// Those that wait hold nothing, and have no order: whatever fits first goes on.
    ///
    /// # Cancellation
    ///
    /// Cancellation safe: dropped while it waits, nothing is reserved.
    pub async fn reserve_or_wait(&self, amounts: Amounts) -> Reservation {
        match self
            .wait(amounts, ControlFlow::<Infallible, _>::Continue)
            .await
        {
            Ok(reservation) => reservation,
        }
    }

    /// Sets `amounts` aside, and does what the level in the way says if they do not fit: waits, or refuses.
    ///
    /// # Errors
    ///
    /// [`BudgetErrorKind::Exceeded`] if they do not fit into a level that says [`OnExceed::Stop`].
    ///
    /// # Cancellation
    ///
    /// Cancellation safe: dropped while it waits, nothing is reserved.
    pub async fn acquire(&self, amounts: Amounts) -> Result<Reservation, BudgetError> {
        self.wait(amounts, |refusal| match refusal.level.0.on_exceed {
            OnExceed::Stop => ControlFlow::Break(self.refuse(&refusal)),
            OnExceed::Suspend => ControlFlow::Continue(refusal),
        })
        .await
    }

    /// Tries until it fits, or `patience` has an end.
    async fn wait<E>(
        &self,
        amounts: Amounts,
        patience: impl Fn(Refusal) -> ControlFlow<E, Refusal>,
    ) -> Result<Reservation, E> {
        let mut waiting: Option<Waiting> = None;
        loop {
            // Registered before the books are looked at, so that what is given back in between is not missed.
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            let refusal = match self.try_reserve(amounts) {
                Ok(reservation) => return Ok(reservation),
                Err(refusal) => match patience(refusal) {
                    ControlFlow::Continue(refusal) => refusal,
                    ControlFlow::Break(error) => return Err(error),
                },
            };
            if waiting.is_none() {
                self.tell(BudgetNoticeKind::Suspended, refusal.error.line().clone());
            }
            waiting = Some(Waiting::at(refusal.level));
            freed.await;
        }
    }

    /// Books `amounts` that were spent without a reservation. What there was no room for is an overrun.
    #[expect(
        clippy::must_use_candidate,
        reason = "what is booked is booked, read or not"
    )]
    pub fn spend(&self, amounts: Amounts) -> Booking {
        self.settle(Amounts::ZERO, amounts)
    }

    /// Raises the limits of this level; what waits for it is looked at again. A dimension without a limit stays without.
    pub fn raise(&self, by: Amounts) {
        self.ledger().raise(by.numbers());
        self.0.freed.notify_waiters();
    }

    /// What was spent of it.
    #[must_use]
    pub fn spent(&self) -> Amounts {
        Amounts::of(self.ledger().spent)
    }

    /// What is set aside and not settled.
    #[must_use]
    pub fn reserved(&self) -> Amounts {
        Amounts::of(self.ledger().reserved)
    }

    /// What was spent beyond the limits, as they stood then. It is part of what was spent.
    #[must_use]
    pub fn overrun(&self) -> Amounts {
        Amounts::of(self.ledger().overrun)
    }

    /// How much could be reserved now: the least of what is left here and on the levels above.
    #[must_use]
    pub fn left(&self) -> Left {
        let mut least: PerDimension<Option<u64>> = self.ledger().left();
        let mut above = self.parent();
        while let Some(level) = above {
            for (least, left) in least.iter_mut().zip(level.ledger().left()) {
                *least = match (*least, left) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            above = level.parent();
        }
        Left::of(least)
    }

    /// How many reservations wait because of this level.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::SeqCst)
    }

    /// Whether this level, or one above it, limits `dimension`. This never changes.
    #[must_use]
    pub fn limits(&self, dimension: Dimension) -> bool {
        let mut level = Some(self);
        while let Some(here) = level {
            if here.ledger().limit[dimension as usize].is_some() {
                return true;
            }
            level = here.parent();
        }
        false
    }

    fn try_reserve(&self, amounts: Amounts) -> Result<Reservation, Refusal> {
        let mut warned = Vec::new();
        self.take(amounts.numbers(), &mut warned)?;
        for line in warned {
            self.tell(BudgetNoticeKind::Warned, line);
        }
        Ok(Reservation::new(Some(self.clone()), amounts))
    }

    /// Takes from this level and those above it, or from none. Each level stays locked until those above it have agreed;
    /// as the order is always upwards, no two can wait for each other.
    fn take(&self, want: PerDimension<u64>, warned: &mut Vec<BudgetLine>) -> Result<(), Refusal> {
        let mut ledger = self.ledger();
        if let Some(line) = ledger.refusal(&self.0.name, want) {
            return Err(Refusal {
                error: BudgetError::new(BudgetErrorKind::Exceeded, line),
                level: self.clone(),
            });
        }
        if let Some(parent) = self.parent() {
            parent.take(want, warned)?;
        }
        ledger.reserve(want);
        ledger.warn(&self.0.name, want, warned);
        Ok(())
    }

    /// Turns `reserved` into `spent`, level by level.
    fn settle(&self, reserved: Amounts, spent: Amounts) -> Booking {
        let (reserved, spent) = (reserved.numbers(), spent.numbers());
        let mut warned = Vec::new();
        let mut overrun = None;
        let mut level = Some(self);
        while let Some(here) = level {
            let mut ledger = here.ledger();
            let over = ledger.settle(&here.0.name, reserved, spent);
            ledger.warn(&here.0.name, spent, &mut warned);
            drop(ledger);
            if let Some(line) = over {
                self.tell(BudgetNoticeKind::Overrun, line.clone());
                overrun.get_or_insert_with(|| BudgetError::new(BudgetErrorKind::Overrun, line));
            }
            level = here.parent();
        }
        for line in warned {
            self.tell(BudgetNoticeKind::Warned, line);
        }
        self.0.freed.notify_waiters();
        Booking::new(overrun)
    }

    fn refuse(&self, refusal: &Refusal) -> BudgetError {
        self.tell(BudgetNoticeKind::Exceeded, refusal.error.line().clone());
        refusal.error.clone()
    }

    /// Tells the nearest listener on the way up.
    fn tell(&self, kind: BudgetNoticeKind, line: BudgetLine) {
        let mut level = Some(self);
        while let Some(here) = level {
            if let Some(listener) = &here.0.listener {
                return listener(BudgetNotice { kind, line });
            }
            level = here.parent();
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every entry is a few additions; none can be left half-way by a panic.
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("name", &self.0.name)
            .field("spent", &self.spent())
            .field("reserved", &self.reserved())
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

/// A reservation that waits, counted while it does.
struct Waiting(Budget);

impl Waiting {
    fn at(level: Budget) -> Self {
        level.0.waiting.fetch_add(1, Ordering::SeqCst);
        Self(level)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
