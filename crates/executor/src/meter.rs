//! What a run spends: its own level of the budget, and the steps and the time that the engine counts.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;

use stageflow_context::{
    Amounts, Budget, BudgetError, BudgetNotice, BudgetNoticeKind, Dimension, Part, Reservation,
    StageIndex,
};
use std::time::Duration;

use crate::machine::Tick;
use crate::shared::{RunShared, What};
use crate::slots::lend;

/// The budget of a run.
pub(crate) struct Meter {
    /// A level of the run's own, so that what is told of it is told to this run.
    pub(crate) budget: Budget,
    /// Whether attempts are counted.
    counts: bool,
    time: bool,
}

impl Meter {
    pub(crate) fn new(run: &Arc<RunShared>, budget: &Budget) -> Self {
        let told = Told {
            run: Arc::downgrade(run),
            already: Mutex::default(),
        };
        let time = budget.limits(Dimension::Time);
        Self {
            counts: time || budget.limits(Dimension::Steps),
            time,
            budget: budget.watched(Arc::clone(run.plan.name()), move |notice| told.hear(notice)),
        }
    }

    /// Whether every attempt has to be let in by [`admit`].
    pub(crate) fn counts(&self) -> bool {
        self.counts
    }

    /// What an attempt needs to start: a step; and if time is counted, that there is some left.
    fn entrance(&self) -> Amounts {
        let moment = if self.time {
            Amounts::time(Duration::from_nanos(1))
        } else {
            Amounts::ZERO
        };
        Amounts::steps(1) + moment
    }
}

/// Lets one attempt of a stage, or of a part of it, start, and waits with it if the budget says so: without what it holds.
/// `None` if nobody counts.
pub(crate) async fn admit<'a>(
    shared: &'a RunShared,
    stage: StageIndex,
    part: Option<&Arc<Part>>,
) -> Result<Option<Metered<'a>>, BudgetError> {
    let Some(meter) = shared.meter().filter(|meter| meter.counts()) else {
        return Ok(None);
    };
    let mut acquired = std::pin::pin!(meter.budget.acquire(meter.entrance()));
    let first = poll_fn(|cx| Poll::Ready(acquired.as_mut().poll(cx)));
    let step = match first.await {
        Poll::Ready(step) => step?,
        Poll::Pending => lend(shared, stage, part, acquired).await?,
    };
    Ok(Some(Metered {
        step: Some(step),
        since: shared.now(),
        shared,
    }))
}

/// An attempt that counts. Its step is spent however it ends, and so is the time until it is gone.
pub(crate) struct Metered<'a> {
    step: Option<Reservation>,
    since: Tick,
    shared: &'a RunShared,
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        let took = self.shared.now().elapsed() - self.since.elapsed();
        if let Some(step) = self.step.take() {
            let timed = self.shared.meter().is_some_and(|meter| meter.time);
            let took = if timed { took } else { Duration::ZERO };
            step.settle(Amounts::steps(1) + Amounts::time(took));
        }
    }
}

/// Turns notices into events of the run, each once for each budget and dimension.
struct Told {
    run: Weak<RunShared>,
    already: Mutex<Vec<(Arc<str>, Dimension, BudgetNoticeKind)>>,
}

impl Told {
    fn hear(&self, notice: BudgetNotice) {
        let Some(run) = self.run.upgrade() else {
            return;
        };
        let line = &notice.line;
        let mut already = self.already.lock().unwrap_or_else(PoisonError::into_inner);
        let known = already.iter().any(|(budget, dimension, kind)| {
            Arc::ptr_eq(budget, &line.budget)
                && (*dimension, *kind) == (line.dimension, notice.kind)
        });
        if !known {
            already.push((Arc::clone(&line.budget), line.dimension, notice.kind));
        } else if notice.kind != BudgetNoticeKind::Warned {
            // A warning comes again only after the limit was raised: then it is news.
            return;
        }
        drop(already);
        run.say(StageIndex::new(u32::MAX), 0, What::Budget(Box::new(notice)));
    }
}
