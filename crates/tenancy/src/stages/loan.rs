//! A place that is held: whoever has it works on it, lends it to what is inside, or is away and has it no more.

use std::iter::successors;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, Either, select, select_all};
use stageflow_context::{OrgId, StageCx};
use stageflow_interceptors::{Lent, WaitsFor};
use tokio::sync::Notify;

use super::{Held, either};
use crate::fair::{Entry, Gate};

/// A place that is held.
pub(crate) struct Loan {
    gate: Arc<Gate>,
    org: OrgId,
    /// Whose place it may have, other than one of its own.
    source: Option<Arc<Self>>,
    now: Mutex<Now>,
    free: Notify,
    /// Of those that come back at the same time, one takes the place for all.
    turn: tokio::sync::Mutex<()>,
}

/// Who needs the place.
struct Now {
    held: Option<Held>,
    is_lent: bool,
    /// How many wait for it that are inside.
    asking: usize,
    /// How often its holder is away: waits for something outside.
    away: usize,
    /// For how many runs its holder waits that it has started.
    runs: usize,
    /// How many are away of those inside.
    away_inside: usize,
}

impl Now {
    /// The place, if nobody needs it now: its holder is away, or waits for somebody who is.
    fn idle(&mut self) -> Option<Held> {
        let is_idle = self.is_waiting() && !self.is_lent && self.asking == 0;
        self.held.take_if(|_| is_idle)
    }

    fn is_free(&self) -> bool {
        self.held.is_some() && !self.is_lent
    }

    fn is_waiting(&self) -> bool {
        self.away > 0 || (self.runs > 0 && self.away_inside > 0)
    }
}

impl Loan {
    pub(crate) fn new(gate: Arc<Gate>, org: OrgId, source: Option<Arc<Self>>, held: Held) -> Self {
        Self {
            gate,
            org,
            source,
            now: Mutex::new(Now {
                held: Some(held),
                is_lent: false,
                asking: 0,
                away: 0,
                runs: 0,
                away_inside: 0,
            }),
            free: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The place, if it is here and not lent now; or else the first around it that is.
    pub(crate) fn try_borrow(self: &Arc<Self>) -> Option<Borrowed> {
        self.outwards().find_map(|loan| {
            let mut now = loan.lock();
            let is_free = now.is_free();
            now.is_lent |= is_free;
            is_free.then(|| Borrowed(Arc::clone(loan)))
        })
    }

    /// Waits for the place, or one around it: a holder that is away has none, and whoever is around may have. Safe to drop at any
    /// moment.
    pub(crate) async fn borrow(self: &Arc<Self>) -> Borrowed {
        let _asking = Asking::new(self);
        loop {
            // Hears also what is said before it is polled.
            let free = self.outwards().map(|loan| Box::pin(loan.free.notified()));
            let free = select_all(free);
            if let Some(borrowed) = self.try_borrow() {
                drop(free);
                self.pass_on();
                return borrowed;
            }
            free.await;
        }
    }

    /// Whoever was told of one place, and has another, tells the next.
    fn pass_on(self: &Arc<Self>) {
        for loan in self.outwards() {
            let is_free = loan.lock().is_free();
            if is_free {
                loan.free.notify_one();
            }
        }
    }

    /// It, and those it is inside of.
    fn outwards(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        successors(Some(self), |loan| loan.source.as_ref())
    }

    /// Its holder waits from now on.
    pub(crate) fn begin(self: &Arc<Self>, cx: &StageCx, waits: WaitsFor) -> Wait {
        match waits {
            WaitsFor::InnerRun => self.change(|now| now.runs += 1),
            _ => {
                self.change(|now| now.away += 1);
                self.around(|now| now.away_inside += 1);
            }
        }
        Wait(Some((Arc::clone(self), cx.clone(), waits)))
    }

    /// Nobody holds it any more.
    pub(crate) fn end(&self) {
        let held = self.lock().held.take();
        drop(held);
    }

    fn over(&self, waits: WaitsFor) {
        match waits {
            WaitsFor::InnerRun => self.change(|now| now.runs -= 1),
            _ => {
                self.around(|now| now.away_inside -= 1);
                self.change(|now| now.away -= 1);
            }
        }
    }

    /// Has a place again, in the order in which those of the tenant come.
    async fn come_back(&self) {
        if self.is_here() {
            return;
        }
        let _turn = self.turn.lock().await;
        if self.is_here() {
            return;
        }
        let borrowed = self.source.as_ref().and_then(Self::try_borrow);
        let held = match borrowed {
            Some(borrowed) => Held::of(borrowed),
            None => match self.gate.enter_anyway(self.org) {
                Entry::Come(permit) => Held::own(permit),
                Entry::Wait(mut place) => either(&mut place, self.source.as_ref()).await,
                Entry::Full(..) => Held::default(),
            },
        };
        self.put(held);
    }

    /// Has a place again if one is free at this moment.
    fn come_back_now(&self) {
        if !self.is_here()
            && let Some(permit) = self.gate.try_enter(self.org)
        {
            self.put(Held::own(permit));
        }
    }

    fn put(&self, held: Held) {
        // If another was faster, this is one too many, and goes back.
        let other = self.lock().held.replace(held);
        drop(other);
        self.free.notify_one();
    }

    fn is_here(&self) -> bool {
        self.lock().held.is_some()
    }

    /// What all those do that this is inside of.
    fn around(&self, change: impl Fn(&mut Now)) {
        for around in self.source.iter().flat_map(Self::outwards) {
            around.change(&change);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let idle = {
            let mut now = self.lock();
            change(&mut now);
            now.idle()
        };
        // Not under the lock: others are told, and whoever is around it.
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Nothing in it can panic half-way.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place of another, given back when it is dropped.
pub(crate) struct Borrowed(Arc<Loan>);

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.change(|now| now.is_lent = false);
        self.0.free.notify_one();
    }
}

/// Somebody inside waits for the place.
struct Asking<'a>(&'a Arc<Loan>);

impl<'a> Asking<'a> {
    fn new(loan: &'a Arc<Loan>) -> Self {
        for loan in loan.outwards() {
            loan.change(|now| now.asking += 1);
        }
        Self(loan)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        for loan in self.0.outwards() {
            loan.change(|now| now.asking -= 1);
        }
    }
}

/// The holder of a place waits.
pub(crate) struct Wait(Option<(Arc<Loan>, StageCx, WaitsFor)>);

impl Lent for Wait {
    fn over(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        let waited = self.0.take();
        Box::pin(async move {
            let Some((loan, cx, waits)) = waited else {
                return;
            };
            loan.over(waits);
            // One of several runs has ended: the holder may have something to do now, and may only wait for the others. A place that
            // is held for nothing is worse than one that is missing for a moment.
            if waits == WaitsFor::InnerRun && loan.lock().is_waiting() {
                return;
            }
            let back = std::pin::pin!(loan.come_back());
            let stopped = std::pin::pin!(cx.cancelled());
            // A run that stops does not wait for a place.
            match select(back, stopped).await {
                Either::Left(_) | Either::Right(_) => {}
            }
            if waits == WaitsFor::InnerRun {
                // Others may be away by now that were not when it set out.
                loan.change(|_| {});
            }
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Dropped in the middle: the stage may go on, and a drop cannot wait. What is free comes back.
        if let Some((loan, _, waits)) = self.0.take() {
            loan.over(waits);
            loan.come_back_now();
        }
    }
}
