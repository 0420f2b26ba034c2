//! The runs that a run's stages have started: none of them outlives it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stageflow_context::{CancelReason, Part, StageCx, StageIndex};
use tokio::sync::Notify;

use crate::shared::RunShared;

/// The children of one run. Until a stage starts one this is two flags and nothing else.
#[derive(Default)]
pub(crate) struct Children {
    closed: AtomicBool,
    any: AtomicBool,
    list: OnceLock<Arc<List>>,
}

#[derive(Default)]
struct List {
    live: Mutex<Live>,
    gone: Notify,
}

#[derive(Default)]
struct Live {
    next: u64,
    runs: BTreeMap<u64, Child>,
}

struct Child {
    run: Arc<RunShared>,
    /// Where in the parent it was started: names would not do, as one may go on where another ends.
    stage: StageIndex,
    part: Option<Arc<Part>>,
}

impl Children {
    /// Writes a child down that is started at `cx`. `None` if there are to be no more of them.
    pub(crate) fn admit(&self, run: &Arc<RunShared>, cx: &StageCx) -> Option<Tie> {
        let list = self.list.get_or_init(Arc::default);
        let tie = Tie {
            id: list.add(Child {
                run: Arc::clone(run),
                stage: cx.index(),
                part: cx.part().cloned(),
            }),
            list: Arc::clone(list),
        };
        // Pairs with `close`: either this sees that it is closed, or that sees that there is a child.
        self.any.store(true, Ordering::SeqCst);
        (!self.closed.load(Ordering::SeqCst)).then_some(tie)
    }

    /// Tells the children that their parent stops.
    pub(crate) fn tell(&self, reason: impl FnOnce() -> CancelReason) {
        if self.any.load(Ordering::SeqCst)
            && let Some(list) = self.list.get()
        {
            let reason = Arc::new(reason());
            list.tell(&reason, |_| true);
        }
    }

    /// From now on there are no more. `true` if some are left to be waited for.
    pub(crate) fn close(&self) -> bool {
        // A swap is the cheapest store that nothing after it overtakes.
        self.closed.swap(true, Ordering::SeqCst);
        self.any.load(Ordering::SeqCst)
            && self
                .list
                .get()
                .is_some_and(|list| !lock(&list.live).runs.is_empty())
    }

    /// Waits until every child is over, cleanups and all.
    pub(crate) async fn gone(&self) {
        if let Some(list) = self.list.get() {
            list.gone(|_| true).await;
        }
    }

    /// Stops the children that were started at this place or in a part of it, and waits until they are over.
    pub(crate) async fn gone_from(&self, stage: StageIndex, part: Option<&Part>) {
        if let Some(list) = self.list.get() {
            let reason = CancelReason::requested("the attempt that started it has ended");
            list.tell(&Arc::new(reason), |child| child.is_from(stage, part));
            list.gone(|child| child.is_from(stage, part)).await;
        }
    }
}

impl Child {
    fn is_from(&self, stage: StageIndex, part: Option<&Part>) -> bool {
        let Some(part) = part else {
            return self.stage == stage;
        };
        let mut outwards = std::iter::successors(self.part.as_ref(), |part| part.within());
        self.stage == stage && outwards.any(|place| **place == *part)
    }
}

impl List {
    fn add(&self, child: Child) -> u64 {
        let mut live = lock(&self.live);
        let id = live.next;
        live.next += 1;
        live.runs.insert(id, child);
        id
    }

    fn tell(&self, reason: &Arc<CancelReason>, whom: impl Fn(&Child) -> bool) {
        let told: Vec<_> = lock(&self.live)
            .runs
            .values()
            .filter(|child| whom(child))
            .map(|child| Arc::clone(&child.run))
            .collect();
        // Outside the lock: a waker may run anything.
        for run in told {
            run.ask_to_stop(CancelReason::ParentStopped(Arc::clone(reason)));
        }
    }

    async fn gone(&self, who: impl Fn(&Child) -> bool) {
        loop {
            // Registered before the look, so that an end in between is not missed.
            let mut gone = std::pin::pin!(self.gone.notified());
            gone.as_mut().enable();
            if !lock(&self.live).runs.values().any(&who) {
                return;
            }
            gone.await;
        }
    }
}

/// Ties a run to its parent; dropped when the run is over, wherever it ends.
pub(crate) struct Tie {
    list: Arc<List>,
    id: u64,
}

impl Drop for Tie {
    fn drop(&mut self) {
        let child = lock(&self.list.live).runs.remove(&self.id);
        drop(child);
        self.list.gone.notify_waiters();
    }
}

fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    // Every critical section is one look, one insertion or one removal.
    live.lock().unwrap_or_else(PoisonError::into_inner)
}
