//! Places that are held by stages which wait for what they started: lent to those, so that nobody waits for himself.

use std::iter::successors;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use stageflow_context::{Part, RunId};
use stageflow_interceptors::Call;
use tokio::sync::Notify;

/// The places of one tenant that are held now.
#[derive(Default)]
pub(crate) struct Loans(Mutex<FxHashMap<Holder, Arc<Loan>>>);

/// A stage of a run, or a part of one: `summarise[3]`.
type Holder = (RunId, String);

/// A place that is held.
#[derive(Default)]
pub(crate) struct Loan {
    is_lent: AtomicBool,
    given_back: Notify,
}

/// Somebody holds a place, and lends it while this lives.
pub(crate) struct Lender<'a> {
    loans: &'a Loans,
    holder: Holder,
}

/// Where a call comes from.
pub(crate) enum Origin {
    /// From a run that no stage started.
    Outside,
    /// From something that waits for it, and may hold a place.
    Inside(Option<Arc<Loan>>),
}

/// A place of another, given back when it is dropped.
pub(crate) struct Borrowed(Arc<Loan>);

impl Loans {
    /// Lends the place of this call to whatever is started from inside it.
    pub(crate) fn lend(&self, call: &Call<'_>) -> Lender<'_> {
        let run = call.host().identity().run_id();
        let holder = (run, path(call, call.part()));
        self.lock().insert(holder.clone(), Arc::default());
        Lender {
            loans: self,
            holder,
        }
    }

    /// Where this call comes from. The innermost that holds a place lends it: what the call is a part of, the stage that
    /// started its run, what that is a part of, and so on.
    pub(crate) fn origin(&self, call: &Call<'_>) -> Origin {
        let identity = call.host().identity();
        if call.part().is_none() && identity.parent().is_none() {
            return Origin::Outside;
        }
        let run = identity.run_id();
        let around = successors(call.part(), |part| part.within())
            .map(|part| (run, path(call, part.within())));
        let above = identity
            .lineage()
            .map(|above| (above.run_id(), above.stage().to_owned()));
        let now = self.lock();
        let innermost = around.chain(above).find_map(|holder| now.get(&holder));
        Origin::Inside(innermost.map(Arc::clone))
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Holder, Arc<Loan>>> {
        // Nothing in it can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan {
    /// The place, if it is not lent now.
    pub(crate) fn try_borrow(self: &Arc<Self>) -> Option<Borrowed> {
        let was_lent = self.is_lent.swap(true, Ordering::SeqCst);
        (!was_lent).then(|| Borrowed(Arc::clone(self)))
    }

    /// Waits for the place. Safe to drop at any moment.
    pub(crate) async fn borrow(self: &Arc<Self>) -> Borrowed {
        loop {
            // Hears also what is said before it is polled.
            let given_back = self.given_back.notified();
            if let Some(borrowed) = self.try_borrow() {
                return borrowed;
            }
            given_back.await;
        }
    }
}

impl Drop for Lender<'_> {
    fn drop(&mut self) {
        // Nobody waits for it: what is inside a stage has ended before the stage.
        self.loans.lock().remove(&self.holder);
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.is_lent.store(false, Ordering::SeqCst);
        self.0.given_back.notify_one();
    }
}

fn path(call: &Call<'_>, part: Option<&Arc<Part>>) -> String {
    let stage = call.stage();
    part.map_or_else(|| stage.to_string(), |part| format!("{stage}{part}"))
}
