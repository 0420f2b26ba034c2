//! What the stages of a random pipeline are seen to do.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow_context::StageCx;

use super::DagSpec;
use crate::{LiveGuard, Probe};

/// How stages pass their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tempo {
    /// By sleeping on tokio's clock: for paused runtimes, where it costs nothing.
    Clock,
    /// By suspending a few times: for runtimes with a running clock.
    Yields,
}

/// Watches the stages of one run of a [`DagSpec`], from inside: who was called how often, and what came before what.
#[derive(Clone, Debug)]
pub struct Watch {
    tempo: Tempo,
    cleans_up: bool,
    probe: Probe,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct Seen {
    clock: AtomicU64,
    stages: Vec<Stage>,
    registered: Mutex<Vec<usize>>,
    cleaned: Mutex<Vec<Cleaned>>,
}

/// A cleanup that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleaned {
    /// The stage that registered it.
    pub stage: usize,
    /// How many stages were alive when it ran.
    pub live: usize,
}

#[derive(Debug, Default)]
struct Stage {
    calls: AtomicUsize,
    /// Ticks of the common clock; zero is never.
    started: AtomicU64,
    ended: AtomicU64,
}

impl Watch {
    /// A watch for one run of `spec`.
    #[must_use]
    pub fn new(spec: &DagSpec, tempo: Tempo) -> Self {
        let stages = spec.stages.iter().map(|_| Stage::default()).collect();
        let (registered, cleaned) = (Mutex::default(), Mutex::default());
        let seen = Arc::new(Seen {
            clock: AtomicU64::new(1),
            stages,
            registered,
            cleaned,
        });
        Self {
            tempo,
            cleans_up: false,
            probe: Probe::new(),
            seen,
        }
    }

    /// Lets every stage register a cleanup when it starts.
    #[must_use]
    pub fn with_cleanups(mut self) -> Self {
        self.cleans_up = true;
        self
    }

    /// The stages that registered a cleanup, in the order in which they did.
    #[must_use]
    pub fn registered(&self) -> Vec<usize> {
        lock(&self.seen.registered).clone()
    }

    /// The cleanups that ran, in the order in which they did.
    #[must_use]
    pub fn cleaned(&self) -> Vec<Cleaned> {
        lock(&self.seen.cleaned).clone()
    }

    /// Counts over all stages.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// How often a stage was called.
    #[must_use]
    pub fn calls(&self, stage: usize) -> usize {
        self.seen.stages[stage].calls.load(Ordering::SeqCst)
    }

    /// The edges along which a stage was seen to start before the stage it waits for was gone.
    #[must_use]
    pub fn too_early(&self, spec: &DagSpec) -> Vec<(usize, usize)> {
        let tick = |at: &AtomicU64| at.load(Ordering::SeqCst);
        let early = |up: usize, down: usize| {
            let (up, down) = (&self.seen.stages[up], &self.seen.stages[down]);
            // An upstream stage that was never called was skipped, or dropped before its first poll.
            tick(&up.started) > 0
                && tick(&down.started) > 0
                && !(1..tick(&down.started)).contains(&tick(&up.ended))
        };
        let edges = spec
            .stages
            .iter()
            .enumerate()
            .flat_map(|(down, stage)| stage.upstream.iter().map(move |up| (*up, down)));
        edges.filter(|(up, down)| early(*up, *down)).collect()
    }

    pub(crate) fn tempo(&self) -> Tempo {
        self.tempo
    }

    pub(crate) fn enter(&self, stage: usize, cx: &StageCx) -> Visit {
        let seen = &self.seen.stages[stage];
        seen.calls.fetch_add(1, Ordering::SeqCst);
        seen.started.store(self.tick(), Ordering::SeqCst);
        if self.cleans_up {
            self.register(stage, cx);
        }
        Visit {
            watch: self.clone(),
            stage,
            live: Some(self.probe.enter()),
        }
    }

    fn register(&self, stage: usize, cx: &StageCx) {
        let watch = self.clone();
        // Held over both, so that the two lists are in the same order.
        let mut registered = lock(&self.seen.registered);
        registered.push(stage);
        cx.on_cleanup(format!("of {stage}"), async move || {
            let live = watch.probe.live();
            lock(&watch.seen.cleaned).push(Cleaned { stage, live });
        });
    }

    fn tick(&self) -> u64 {
        self.seen.clock.fetch_add(1, Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call that is alive.
pub(crate) struct Visit {
    watch: Watch,
    stage: usize,
    live: Option<LiveGuard>,
}

impl Visit {
    pub(crate) fn done(mut self) {
        if let Some(live) = self.live.take() {
            live.done();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.watch.seen.stages[self.stage]
            .ended
            .store(self.watch.tick(), Ordering::SeqCst);
    }
}
