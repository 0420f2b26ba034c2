//! Places that are held by stages which wait for what they started: lent to those, so that nobody waits for himself.

use std::iter::successors;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use stageflow_context::{Part, RunId, StageCx};
use stageflow_interceptors::Call;

use super::loan::Loan;

/// The places of one tenant that are held now.
#[derive(Default)]
pub(crate) struct Loans(Mutex<FxHashMap<Holder, Arc<Loan>>>);

/// A stage of a run, or a part of one: `summarise[3]`.
type Holder = (RunId, String);

/// Somebody holds a place, and lends it while this lives.
pub(crate) struct Lender<'a> {
    loans: &'a Loans,
    holder: Holder,
    loan: Arc<Loan>,
}

/// Where a call comes from.
pub(crate) enum Origin {
    /// From a run that no stage started.
    Outside,
    /// From something that waits for it, and may hold a place.
    Inside(Option<Arc<Loan>>),
}

impl Origin {
    /// Whose place it may have.
    pub(crate) fn source(&self) -> Option<Arc<Loan>> {
        match self {
            Self::Outside => None,
            Self::Inside(source) => source.clone(),
        }
    }
}

impl Loans {
    /// Lends the place of this call to whatever is started from inside it.
    pub(crate) fn lend(&self, call: &Call<'_>, loan: Loan) -> Lender<'_> {
        let run = call.host().identity().run_id();
        let holder = (run, path(call, call.part()));
        let loan = Arc::new(loan);
        self.lock().insert(holder.clone(), Arc::clone(&loan));
        Lender {
            loans: self,
            holder,
            loan,
        }
    }

    /// The place that the work at `cx` holds.
    pub(crate) fn held_by(&self, cx: &StageCx) -> Option<Arc<Loan>> {
        let holder = (cx.run_id(), cx.path());
        self.lock().get(&holder).map(Arc::clone)
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

impl Drop for Lender<'_> {
    fn drop(&mut self) {
        // Nobody waits for it: what is inside a stage has ended before the stage.
        self.loans.lock().remove(&self.holder);
        self.loan.end();
    }
}

fn path(call: &Call<'_>, part: Option<&Arc<Part>>) -> String {
    let stage = call.stage();
    part.map_or_else(|| stage.to_string(), |part| format!("{stage}{part}"))
}
