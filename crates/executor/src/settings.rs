//! What holds for one run: the engine's defaults with the run's own options over them.

use std::num::NonZeroUsize;
use std::time::Duration;

use stageflow_context::{ContextSnapshot, RunIdentity};
use stageflow_graph::Placement;

/// Options of one run. What is not set comes from the engine.
///
/// ```
/// use stageflow_executor::RunOptions;
/// use std::time::Duration;
///
/// let options = RunOptions::new().deadline(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RunOptions {
    pub(crate) identity: Option<RunIdentity>,
    pub(crate) snapshot: Option<ContextSnapshot>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) concurrency: Option<NonZeroUsize>,
}

impl RunOptions {
    /// Nothing set: a run of its own, with an id of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says who and which run. Over a snapshot it replaces that one's identity.
    pub fn identity(mut self, identity: RunIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Gives the stages what is known.
    pub fn snapshot(mut self, snapshot: ContextSnapshot) -> Self {
        self.snapshot = Some(snapshot);
        self
    }

    /// Limits how long the run may take, from [`Engine::run`](crate::Engine::run) on. It covers everything up to the start
    /// of the cleanups, which have a budget of their own.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Limits how many stages of the run may run at a time.
    pub fn concurrency(mut self, stages: NonZeroUsize) -> Self {
        self.concurrency = Some(stages);
        self
    }
}

/// The settings of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSettings {
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) placement: Placement,
    pub(crate) long_poll: Duration,
    pub(crate) cleanup_budget: Duration,
    pub(crate) deadline: Option<Duration>,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            // Wide enough for any fan-out that makes sense in one run, and still a bound.
            concurrency: const { NonZeroUsize::new(65_536).unwrap() },
            placement: Placement::Inline,
            long_poll: Duration::from_millis(50),
            cleanup_budget: Duration::from_secs(10),
            deadline: None,
        }
    }
}
