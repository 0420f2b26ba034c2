//! What is written down of one run, from inside its stages, and what its stages share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stageflow::context::StopKind;
use stageflow::prelude::*;
use stageflow_testkit::Probe;
use tempfile::TempDir;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::ledger::effects::Effects;
use crate::ledger::resources::{Resources, Stamps};

/// How many permits and locks the stages of one run share.
pub(crate) const SHARED: usize = 3;

/// The books of one run. Clones are the same books.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) stamps: Stamps,
    pub(crate) resources: Resources,
    pub(crate) effects: Effects,
    /// The stages, and the layers that wait around them.
    pub(crate) probe: Probe,
    pub(crate) around: Probe,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) locks: Arc<[Arc<AsyncMutex<()>>; SHARED]>,
    pub(crate) scratch: Option<Arc<TempDir>>,
    pub(crate) steps: Steps,
    /// How many cleanups began while a stage was still alive.
    pub(crate) crowded: Arc<AtomicU64>,
    /// How many cleanups could not see why the run ended.
    pub(crate) blind: Arc<AtomicU64>,
    /// A broken cleanup gives back twice, one in so many.
    pub(crate) doubled: Option<Arc<AtomicU64>>,
    /// A broken stage does not tell its cleanup what it holds, one in so many.
    pub(crate) forgotten: Option<Arc<AtomicU64>>,
    /// A broken stage fails although nobody told it to, one in so many.
    pub(crate) unlogged: Option<Arc<AtomicU64>>,
}

impl Books {
    pub(crate) fn new(scratch: Option<Arc<TempDir>>) -> Self {
        let stamps = Stamps::default();
        Self {
            resources: Resources::new(&stamps),
            effects: Effects::new(&stamps),
            stamps,
            probe: Probe::new(),
            around: Probe::new(),
            permits: Arc::new(Semaphore::new(SHARED)),
            locks: Arc::default(),
            scratch,
            steps: Steps::default(),
            crowded: Arc::default(),
            blind: Arc::default(),
            doubled: None,
            forgotten: None,
            unlogged: None,
        }
    }
}

/// Whether it is one of the chances, one in 50, at which a control does it wrong.
pub(crate) fn strikes(chances: Option<&Arc<AtomicU64>>) -> bool {
    chances.is_some_and(|chances| chances.fetch_add(1, Ordering::Relaxed) % 50 == 49)
}

/// Counts the awaits of a run's stages, and does something at one of them.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    count: u64,
    at: Option<u64>,
    act: Option<Act>,
    struck: Option<Struck>,
}

/// What is done at one of the awaits.
pub(crate) enum Act {
    /// Calls this, from inside the stage.
    Call(Box<dyn FnOnce() + Send>),
    /// Stops the stage.
    Stop(Stop),
    Panic,
    /// Never goes on.
    Hang,
}

impl Act {
    fn stops_the_run(&self) -> bool {
        match self {
            Self::Call(_) | Self::Panic => true,
            Self::Stop(stop) => !matches!(stop.kind(), StopKind::Skip(_)),
            Self::Hang => false,
        }
    }
}

/// Where it was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Struck {
    /// Whether nothing may start from then on: the stage stops the run, and is in the task that drives it.
    pub(crate) at_once: bool,
    pub(crate) stage: usize,
    pub(crate) stamp: u64,
}

impl Steps {
    /// Does this at the `at`th await.
    pub(crate) fn arm(&self, at: u64, act: Act) {
        self.with(|inner| {
            inner.at = Some(at);
            inner.act = Some(act);
        });
    }

    /// Where it was done, if that await was reached.
    pub(crate) fn struck(&self) -> Option<Struck> {
        self.with(|inner| inner.struck)
    }

    /// One more await, in this stage.
    pub(crate) fn step(&self, stage: usize, inline: bool, stamps: &Stamps) -> Option<Act> {
        self.with(|inner| {
            inner.count += 1;
            if inner.at != Some(inner.count - 1) {
                return None;
            }
            let act = inner.act.take()?;
            inner.struck = Some(Struck {
                at_once: inline && act.stops_the_run(),
                stage,
                stamp: stamps.next(),
            });
            Some(act)
        })
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").finish_non_exhaustive()
    }
}
