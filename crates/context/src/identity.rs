//! Who a run is for, and where it came from.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::Arc;

use crate::ids::excerpt;
use crate::{
    CorrelationId, InteractionId, OrgId, RequestId, RunId, SessionId, SpanId, TraceId, UserId,
};

/// The ids every event and every error of a run carries. Only the run id is mandatory.
///
/// ```
/// use stageflow_context::{OrgId, RunId, RunIdentity, SystemIds};
///
/// let org = OrgId::generate(&SystemIds::new());
/// let identity = RunIdentity::new(RunId::generate(&SystemIds::new())).with_org_id(org);
///
/// let child = identity.child(RunId::generate(&SystemIds::new()), "research")?;
/// assert_eq!(child.org_id(), Some(org));
/// assert_eq!(child.correlation_id(), identity.correlation_id());
/// assert_eq!(child.lineage().map(|from| from.stage()).collect::<Vec<_>>(), ["research"]);
/// # Ok::<(), stageflow_context::DepthError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunIdentity {
    run_id: RunId,
    request_id: Option<RequestId>,
    session_id: Option<SessionId>,
    user_id: Option<UserId>,
    org_id: Option<OrgId>,
    interaction_id: Option<InteractionId>,
    correlation_id: CorrelationId,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    parent: Option<Arc<Lineage>>,
}

impl RunIdentity {
    /// How many runs may stand above a run.
    pub const MAX_DEPTH: usize = 64;

    /// The identity of a run that nothing caused: its correlation id is made of its run id.
    #[must_use]
    pub fn new(run_id: RunId) -> Self {
        Self {
            run_id,
            request_id: None,
            session_id: None,
            user_id: None,
            org_id: None,
            interaction_id: None,
            correlation_id: run_id.into(),
            trace_id: None,
            span_id: None,
            parent: None,
        }
    }

    /// The identity of a run that the stage `parent_stage` of this one starts: for the same people, under the same
    /// correlation and trace, with this run as its parent.
    ///
    /// # Errors
    ///
    /// [`DepthError`] if [`RunIdentity::MAX_DEPTH`] runs stand above it already.
    pub fn child(&self, run_id: RunId, parent_stage: &str) -> Result<Self, DepthError> {
        let parent = Lineage::below(self.parent.clone(), self.run_id, parent_stage.into())?;
        Ok(Self {
            run_id,
            parent: Some(parent),
            ..*self
        })
    }

    /// Which run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The request it answers.
    #[must_use]
    pub fn request_id(&self) -> Option<RequestId> {
        self.request_id
    }

    /// The session it belongs to.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session_id
    }

    /// Who asks.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.user_id
    }

    /// The tenant it runs for.
    #[must_use]
    pub fn org_id(&self) -> Option<OrgId> {
        self.org_id
    }

    /// The exchange it is part of.
    #[must_use]
    pub fn interaction_id(&self) -> Option<InteractionId> {
        self.interaction_id
    }

    /// What it shares with everything that has the same cause.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.correlation_id
    }

    /// The trace it is recorded in.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// The span it was started from.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        self.span_id
    }

    /// The run and the stage that started it, if a stage did.
    #[must_use]
    pub fn parent(&self) -> Option<&Lineage> {
        self.parent.as_deref()
    }

    /// The runs above it, from its parent to the root.
    pub fn lineage(&self) -> impl Iterator<Item = &Lineage> {
        successors(self.parent(), |below| below.parent())
    }

    /// How many runs stand above it.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.parent().map_or(0, |parent| parent.depth + 1)
    }

    /// The same run, answering this request.
    #[must_use]
    pub fn with_request_id(self, request_id: impl Into<Option<RequestId>>) -> Self {
        Self {
            request_id: request_id.into(),
            ..self
        }
    }

    /// The same run, in this session.
    #[must_use]
    pub fn with_session_id(self, session_id: impl Into<Option<SessionId>>) -> Self {
        Self {
            session_id: session_id.into(),
            ..self
        }
    }

    /// The same run, asked for by this user.
    #[must_use]
    pub fn with_user_id(self, user_id: impl Into<Option<UserId>>) -> Self {
        Self {
            user_id: user_id.into(),
            ..self
        }
    }

    /// The same run, for this tenant.
    #[must_use]
    pub fn with_org_id(self, org_id: impl Into<Option<OrgId>>) -> Self {
        Self {
            org_id: org_id.into(),
            ..self
        }
    }

    /// The same run, as part of this exchange.
    #[must_use]
    pub fn with_interaction_id(self, interaction_id: impl Into<Option<InteractionId>>) -> Self {
        Self {
            interaction_id: interaction_id.into(),
            ..self
        }
    }

    /// The same run, under this correlation id.
    #[must_use]
    pub fn with_correlation_id(self, correlation_id: CorrelationId) -> Self {
        Self {
            correlation_id,
            ..self
        }
    }

    /// The same run, recorded in this trace.
    #[must_use]
    pub fn with_trace_id(self, trace_id: impl Into<Option<TraceId>>) -> Self {
        Self {
            trace_id: trace_id.into(),
            ..self
        }
    }

    /// The same run, started from this span.
    #[must_use]
    pub fn with_span_id(self, span_id: impl Into<Option<SpanId>>) -> Self {
        Self {
            span_id: span_id.into(),
            ..self
        }
    }

    /// The same run below `ancestors`, which are in the order of [`RunIdentity::lineage`].
    pub(crate) fn with_lineage(
        self,
        ancestors: impl DoubleEndedIterator<Item = (RunId, Arc<str>)>,
    ) -> Result<Self, DepthError> {
        let root_first = ancestors.rev();
        let mut parent = None;
        for (run_id, stage) in root_first {
            parent = Some(Lineage::below(parent, run_id, stage)?);
        }
        Ok(Self { parent, ..self })
    }
}

/// A run that started another one, and the stage that did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lineage {
    run_id: RunId,
    stage: Arc<str>,
    depth: usize,
    parent: Option<Arc<Self>>,
}

impl Lineage {
    fn below(
        parent: Option<Arc<Self>>,
        run_id: RunId,
        stage: Arc<str>,
    ) -> Result<Arc<Self>, DepthError> {
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
        if depth >= RunIdentity::MAX_DEPTH {
            return Err(DepthError {
                run_id,
                stage: excerpt(&stage),
            });
        }
        Ok(Arc::new(Self {
            run_id,
            stage,
            depth,
            parent,
        }))
    }

    /// The run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The stage of that run.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// What started that run, if a stage did.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.parent.as_deref()
    }

    /// How many runs stand above that run.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// A run cannot start another one: too many stand above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthError {
    run_id: RunId,
    stage: String,
}

impl DepthError {
    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0210"
    }

    /// The run that cannot start another one.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }
}

impl fmt::Display for DepthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: stage `{}` of {} cannot start another run: {} stand above it already, which is the most; \
             look for a pipeline that starts itself",
            self.code(),
            self.stage,
            self.run_id,
            RunIdentity::MAX_DEPTH,
        )
    }
}

impl Error for DepthError {}
