//! The envelope.

use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{
    ContextSnapshot, RunIdentity, StageIndex, StageName, TraceContext, Wiring,
};

use crate::Redaction;

/// What all events of one run have in common: the envelope. Written by the engine, shared by the events.
///
/// It says whose the run is, and by that opens the tenant's store. So nobody else can write one, nor write over who it is about; in
/// tests of sinks there is `RunHeader::by_hand`, with the feature `testing`.
///
/// ```compile_fail,E0599
/// # use stageflow_context::ContextSnapshot;
/// # use stageflow_events::RunHeader;
/// fn of_another(header: RunHeader, context: ContextSnapshot) -> RunHeader {
///     header.with_context(context)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RunHeader {
    context: ContextSnapshot,
    pipeline: Arc<str>,
    stages: Arc<[StageName]>,
    started_at: SystemTime,
    wiring: Option<Arc<Wiring>>,
    redaction: Redaction,
    trace: Option<Arc<TraceContext>>,
}

impl RunHeader {
    pub(crate) fn new(
        context: ContextSnapshot,
        pipeline: Arc<str>,
        stages: Arc<[StageName]>,
        started_at: SystemTime,
    ) -> Self {
        Self {
            context,
            pipeline,
            stages,
            started_at,
            wiring: None,
            redaction: Redaction::standard(),
            trace: None,
        }
    }

    /// The header of a run that no engine has started, in tests of sinks: of `pipeline` with these stages, started at `started_at`.
    /// Secrets are left out as [`Redaction::standard`] has it.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn by_hand(
        context: ContextSnapshot,
        pipeline: Arc<str>,
        stages: Arc<[StageName]>,
        started_at: SystemTime,
    ) -> Self {
        Self::new(context, pipeline, stages, started_at)
    }

    /// The same run, as more is known of whose it is.
    pub(crate) fn of_context(self, context: ContextSnapshot) -> Self {
        Self { context, ..self }
    }

    /// The same, with what each stage waits for.
    #[must_use]
    pub fn with_wiring(self, wiring: Arc<Wiring>) -> Self {
        Self {
            wiring: Some(wiring),
            ..self
        }
    }

    /// The same, with other rules for what is left out of records.
    #[must_use]
    pub fn with_redaction(self, redaction: Redaction) -> Self {
        Self { redaction, ..self }
    }

    /// The same, with what came with the request about its trace.
    #[must_use]
    pub fn with_trace(self, trace: impl Into<Option<Arc<TraceContext>>>) -> Self {
        Self {
            trace: trace.into(),
            ..self
        }
    }

    /// Who and which run.
    #[must_use]
    pub fn identity(&self) -> &RunIdentity {
        self.context.identity()
    }

    /// The pipeline's name.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// The name of a stage, if there is such a stage.
    #[must_use]
    pub fn stage(&self, stage: StageIndex) -> Option<&StageName> {
        self.stages.get(stage.as_usize())
    }

    /// What each stage waits for, if that is known.
    #[must_use]
    pub fn wiring(&self) -> Option<&Arc<Wiring>> {
        self.wiring.as_ref()
    }

    /// What is left out of records.
    #[must_use]
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// What came with the request about its trace, if something did.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_deref()
    }

    /// When the run started, on the wall clock.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }
}
