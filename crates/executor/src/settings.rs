//! What holds for one run: the engine's defaults with the run's own options over them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    Attached, Budget, ContextSnapshot, CorrelationId, Credentials, Idempotency, OrgId, RequestId,
    RunIdentity, SessionId, TraceContext, UserId,
};
use stageflow_graph::Placement;

use crate::{Priority, UndoAfter};

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
    pub(crate) whom: Whom,
    pub(crate) snapshot: Option<ContextSnapshot>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) concurrency: Option<NonZeroUsize>,
    pub(crate) on_failure: Option<FailurePolicy>,
    pub(crate) priority: Priority,
    pub(crate) budget: Option<Budget>,
    pub(crate) trace: Option<Arc<TraceContext>>,
    pub(crate) seed: Option<u64>,
    pub(crate) idempotency: Option<Arc<Idempotency>>,
    pub(crate) undo_after: Option<UndoAfter>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) attached: Attached,
}

impl RunOptions {
    /// Nothing set: a run of its own, with an id of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says who and which run, the run's id included. Over a snapshot it replaces that one's identity.
    pub fn identity(mut self, identity: RunIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Says which org the run is for. The engine makes the run's id.
    pub fn org(mut self, org: OrgId) -> Self {
        self.whom.org = Some(org);
        self
    }

    /// Shows who asks, for the engine's admissions: see [`EngineBuilder::admit`](crate::EngineBuilder::admit). Nobody else sees
    /// it.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Gives the run a value that travels with it beside its context: stages find it by its type with
    /// [`StageCx::attached`](stageflow_context::StageCx::attached), in this run and in those that it starts.
    pub fn attach<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.attached.insert(value);
        self
    }

    /// Says which user the run is for.
    pub fn user(mut self, user: UserId) -> Self {
        self.whom.user = Some(user);
        self
    }

    /// Says which session the run belongs to.
    pub fn session(mut self, session: SessionId) -> Self {
        self.whom.session = Some(session);
        self
    }

    /// Says which request the run answers.
    pub fn request(mut self, request: RequestId) -> Self {
        self.whom.request = Some(request);
        self
    }

    /// Ties the run to everything else that is done for the same cause.
    pub fn correlation(mut self, correlation: CorrelationId) -> Self {
        self.whom.correlation = Some(correlation);
        self
    }

    /// Gives the stages what is known. The run has the snapshot's identity, and with it the run id, unless
    /// [`identity`](RunOptions::identity) says another: what goes on from an earlier run needs a run id of its own. A snapshot
    /// that lay where others can write is to be opened with
    /// [`ContextSnapshot::from_sealed`](stageflow_context::ContextSnapshot::from_sealed).
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

    /// Says what becomes of the rest of the run when a stage has failed.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.on_failure = Some(policy);
        self
    }

    /// Says how much the run gets of what it has to share with others: see [`Priority`]. [`Priority::NORMAL`] if nothing is
    /// said. Runs that this run starts have the same.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Limits how many stages of the run may run at a time. A stage that waits for units of a pool, or for room under a limit
    /// of the engine's, does not count.
    pub fn concurrency(mut self, stages: NonZeroUsize) -> Self {
        self.concurrency = Some(stages);
        self
    }

    /// Lets the run spend from this budget. Stages reserve what they need with
    /// [`StageCx::reserve`](stageflow_context::StageCx::reserve); the engine counts steps and time, if they are limited.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Says where all that is random in the run comes from, such as the delays between attempts: the same seed, the same
    /// choices. If nothing is said, it comes from the run's id.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Gives the request a key, under which it may be made again: work that was done under it is not done again, if the engine
    /// has a layer that sees to that. Runs that its stages start have none.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = Some(Arc::new(idempotency));
        self
    }

    /// Says after which endings what the stages did is undone.
    pub fn undo_after(mut self, endings: UndoAfter) -> Self {
        self.undo_after = Some(endings);
        self
    }

    /// Puts the run into the trace that its request came with: below that span, and with what goes on to those it calls. Runs
    /// that its stages start are given the same.
    ///
    /// An identity with a trace of its own keeps it. What came and was not understood makes a trace of its own: see
    /// [`TraceContext::refused`].
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(Arc::new(trace));
        self
    }
}

/// What becomes of the rest of a run when a stage that it cannot do without has failed.
///
/// A denial, a cancelled run and the run's deadline stop everything, whatever the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Everything that does not need the failed stage still runs; what does is skipped. Then the run ends as failed.
    ContinueIndependent,
    /// Nothing new starts, what runs may end. Then the run ends as failed.
    Drain,
    /// What runs is stopped, nothing new starts.
    #[default]
    FailFast,
}

/// For whom a run is, as far as the options say; over what an identity or a snapshot says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whom {
    org: Option<OrgId>,
    user: Option<UserId>,
    session: Option<SessionId>,
    request: Option<RequestId>,
    correlation: Option<CorrelationId>,
}

impl Whom {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            org,
            user,
            session,
            request,
            correlation,
        } = self;
        org.is_none()
            && user.is_none()
            && session.is_none()
            && request.is_none()
            && correlation.is_none()
    }

    pub(crate) fn onto(self, mut identity: RunIdentity) -> RunIdentity {
        if let Some(org) = self.org {
            identity = identity.with_org_id(org);
        }
        if let Some(user) = self.user {
            identity = identity.with_user_id(user);
        }
        if let Some(session) = self.session {
            identity = identity.with_session_id(session);
        }
        if let Some(request) = self.request {
            identity = identity.with_request_id(request);
        }
        match self.correlation {
            Some(correlation) => identity.with_correlation_id(correlation),
            None => identity,
        }
    }
}

/// The settings of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSettings {
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) placement: Placement,
    pub(crate) blocking_threshold: Duration,
    pub(crate) cleanup_budget: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_depth: NonZeroUsize,
    pub(crate) deadline: Option<Duration>,
    pub(crate) on_failure: FailurePolicy,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            // Wide enough for any fan-out that makes sense in one run, and still a bound.
            concurrency: const { NonZeroUsize::new(65_536).unwrap() },
            placement: Placement::Inline,
            blocking_threshold: Duration::from_millis(50),
            cleanup_budget: Duration::from_secs(10),
            grace: Duration::ZERO,
            max_depth: const { NonZeroUsize::new(16).unwrap() },
            deadline: None,
            on_failure: FailurePolicy::FailFast,
        }
    }
}
