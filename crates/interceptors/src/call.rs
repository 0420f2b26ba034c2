//! One call of a stage, as layers see it.

use std::any::TypeId;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    BoxError, DynValue, Fingerprint, LayerNotice, OrgId, Part, RunHost, StageCx, StageError,
    StageErrorKind, StageIndex, StageName, Stop,
};
use stageflow_graph::{InputDigestError, Inputs, Plan, StageKind, StageOptions};
use tracing::Span;

use crate::call_state::CallState;
use crate::{Ending, Limits, Whereabouts};

/// One call of a stage: who calls what, and what layers may set for it.
pub struct Call<'a> {
    host: &'a Arc<dyn RunHost>,
    plan: &'a Plan,
    stage: StageIndex,
    attempt: NonZeroU32,
    state: &'a mut CallState,
    whereabouts: Option<&'a Whereabouts>,
    reads: Reads<'a>,
}

/// Where the values lie that a call reads.
#[derive(Clone, Copy)]
enum Reads<'a> {
    /// Layers cannot see them.
    Nothing,
    /// In the slots of the run.
    Slots(&'a [Option<DynValue>]),
    /// In this order.
    Values(&'a [DynValue]),
}

impl<'a> Call<'a> {
    /// A call of `stage`. Made by engines.
    #[inline]
    #[must_use]
    pub fn new(
        host: &'a Arc<dyn RunHost>,
        plan: &'a Plan,
        stage: StageIndex,
        attempt: NonZeroU32,
        state: &'a mut CallState,
    ) -> Self {
        Self {
            host,
            plan,
            stage,
            attempt,
            state,
            whereabouts: None,
            reads: Reads::Nothing,
        }
    }

    /// Writes down from now on where the call waits. Called by engines.
    pub fn follow(&mut self, whereabouts: &'a Whereabouts) {
        self.whereabouts = Some(whereabouts);
    }

    /// Reads from the slots of the run. Called by engines.
    #[inline]
    #[must_use]
    pub fn reading_slots(self, slots: &'a [Option<DynValue>]) -> Self {
        let reads = Reads::Slots(slots);
        Self { reads, ..self }
    }

    /// Reads these values. Called by engines.
    #[must_use]
    pub fn reading(self, values: &'a [DynValue]) -> Self {
        let reads = Reads::Values(values);
        Self { reads, ..self }
    }

    /// The digest of what the stage is called with: equal for equal inputs of the same stage. `None` if the stage declares
    /// none (see [`StageBuilder::digested`](stageflow_graph::StageBuilder::digested)), and for parts of a stage. It is made now,
    /// in time linear in the size of the input.
    ///
    /// # Errors
    ///
    /// [`InputDigestError`] if the input cannot be written as JSON.
    #[must_use]
    pub fn input_digest(&self) -> Option<Result<Fingerprint, InputDigestError>> {
        if self.part().is_some() {
            return None;
        }
        let stage = self.stage.as_usize();
        let inputs = match self.reads {
            Reads::Nothing => return None,
            Reads::Slots(slots) => Inputs::from_slots(self.plan.upstream(stage), slots),
            Reads::Values(values) => Inputs::from_values(values),
        };
        self.plan.digest(stage, inputs)
    }

    pub(crate) fn whereabouts(&self) -> Option<&'a Whereabouts> {
        self.whereabouts
    }

    /// The name of the stage.
    #[must_use]
    pub fn stage(&self) -> &'a StageName {
        &self.plan.names()[self.stage.as_usize()]
    }

    /// The place inside the stage, if it is only a part of the stage that is called: an item of a map, a round of a loop.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        self.state.part().map(|of| &of.part)
    }

    /// The type of the value that the call gives.
    #[must_use]
    pub fn value_type(&self) -> TypeId {
        let stage = self.stage.as_usize();
        self.state
            .part()
            .map_or_else(|| self.plan.value_type(stage), |of| of.value_type)
    }

    /// The name of that type, for messages.
    #[must_use]
    pub fn value_type_name(&self) -> &'static str {
        let stage = self.stage.as_usize();
        self.state
            .part()
            .map_or_else(|| self.plan.value_type_name(stage), |of| of.value_type_name)
    }

    /// The place of the stage in its pipeline.
    #[must_use]
    pub fn index(&self) -> StageIndex {
        self.stage
    }

    /// What the stage is for.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        self.options().kind
    }

    /// The stage's options.
    #[inline]
    #[must_use]
    pub fn options(&self) -> &'a StageOptions {
        self.plan.options(self.stage.as_usize())
    }

    /// The pipeline.
    #[must_use]
    pub fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// The org the run is for, if it is for one.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        self.host.identity().org_id()
    }

    /// Says something that is worth an event of its own, `layer.<layer>.<what>`, about the attempt that is called next. See
    /// [`RunHost::tell`].
    pub fn tell(&self, layer: &str, what: &str, payload: serde_json::Value) {
        let notice = LayerNotice::new(layer, what, payload)
            .of_attempt(self.attempt)
            .of_part(self.part().cloned());
        self.host.tell(self.stage, notice);
    }

    /// Which attempt is called next, from 1.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.attempt
    }

    /// Numbers the next attempt. Called by engines.
    pub fn set_attempt(&mut self, attempt: NonZeroU32) {
        self.attempt = attempt;
    }

    /// The run, as the stage sees it.
    #[must_use]
    pub fn cx(&self) -> StageCx {
        StageCx::new(Arc::clone(self.host), self.stage, self.attempt)
            .of_part(self.part().cloned(), self.attempt)
    }

    /// The run the call belongs to.
    #[must_use]
    pub fn host(&self) -> &'a Arc<dyn RunHost> {
        self.host
    }

    /// How long each attempt may take.
    #[inline]
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state.limits
    }

    /// Sets how long each attempt may take. Limits that the stage sets for itself come first: see [`Limits::or`].
    #[inline]
    pub fn set_limits(&mut self, limits: Limits) {
        self.state.limits = limits;
    }

    /// The span that is entered whenever the stage is polled.
    #[inline]
    #[must_use]
    pub fn span(&self) -> Option<&Span> {
        self.state.span()
    }

    /// Sets the span that is entered whenever the stage is polled.
    pub fn set_span(&mut self, span: Span) {
        self.state.extras().span = Some(span);
    }

    /// What a layer keeps for this call between `enter` and `exit`, made at first use. Layers never share it: it is found
    /// by its type, so make that private.
    pub fn scratch<T: Default + Send + 'static>(&mut self) -> &mut T {
        let kept = &mut self.state.extras().scratch;
        let at = kept
            .iter()
            .position(|any| any.is::<T>())
            .unwrap_or_else(|| {
                kept.push(Box::new(T::default()));
                kept.len() - 1
            });
        match kept[at].downcast_mut() {
            Some(scratch) => scratch,
            None => unreachable!("the position was found by type"),
        }
    }

    #[inline]
    pub(crate) fn state_mut(&mut self) -> &mut CallState {
        self.state
    }

    /// An error of this call.
    pub fn error(&self, kind: StageErrorKind, source: impl Into<BoxError>) -> StageError {
        self.placed(StageError::new(
            self.stage().clone(),
            self.attempt,
            kind,
            source,
        ))
    }

    /// An error of this call that needs no cause.
    #[must_use]
    pub fn bare_error(&self, kind: StageErrorKind) -> StageError {
        self.placed(StageError::bare(self.stage().clone(), self.attempt, kind))
    }

    /// What the result of an attempt amounts to.
    #[must_use]
    pub fn ending(&self, result: Result<DynValue, Stop>) -> Ending {
        match result {
            Ok(value) => Ending::Succeeded(value),
            Err(stop) => Ending::from_stop(stop, |kind, source| self.error(kind, source)),
        }
    }

    fn placed(&self, error: StageError) -> StageError {
        match self.part() {
            None => error,
            Some(part) => error.in_part(Arc::clone(part)),
        }
    }

    /// The rejection of `layer`, for [`Flow::Deny`](crate::Flow::Deny)'s sibling [`Flow::Reject`](crate::Flow::Reject) and
    /// [`Ending::Failed`](crate::Ending::Failed): it takes no call at present, and may know when it will.
    pub fn rejected(
        &self,
        layer: &str,
        reason: impl fmt::Display,
        retry_after: Option<Duration>,
    ) -> StageError {
        let error = self.error(
            StageErrorKind::Rejected,
            format!("layer `{layer}`: {reason}"),
        );
        match retry_after {
            Some(wait) => error.retry_in(wait),
            None => error,
        }
    }

    /// The refusal of `layer`, for [`Flow::Deny`](crate::Flow::Deny) and [`Ending::Denied`](crate::Ending::Denied).
    pub fn denied(&self, layer: &str, reason: impl fmt::Display) -> StageError {
        self.error(StageErrorKind::Denied, format!("layer `{layer}`: {reason}"))
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("stage", self.stage())
            .field("part", &self.part())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
