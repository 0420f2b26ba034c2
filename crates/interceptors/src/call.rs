//! One call of a stage, as layers see it.

use std::any::{Any, TypeId};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow_context::{
    BoxError, DynValue, Part, PartCall, RunHost, StageCx, StageError, StageErrorKind, StageIndex,
    StageName, Stop,
};
use stageflow_graph::{Plan, StageKind, StageOptions};
use tracing::Span;

use crate::bits::{BITS, below, bit};
use crate::{Ending, Limits, Whereabouts};

/// One call of a stage: who calls what, and what layers may set for it.
pub struct Call<'a> {
    host: &'a Arc<dyn RunHost>,
    plan: &'a Plan,
    stage: StageIndex,
    attempt: NonZeroU32,
    state: &'a mut CallState,
    whereabouts: Option<&'a Whereabouts>,
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
        }
    }

    /// Writes down from now on where the call waits. Called by engines.
    pub fn follow(&mut self, whereabouts: &'a Whereabouts) {
        self.whereabouts = Some(whereabouts);
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
        self.state.extras.get_or_insert_default().span = Some(span);
    }

    /// What a layer keeps for this call between `enter` and `exit`, made at first use. Layers never share it: it is found
    /// by its type, so make that private.
    pub fn scratch<T: Default + Send + 'static>(&mut self) -> &mut T {
        let kept = &mut self.state.extras.get_or_insert_default().scratch;
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

/// What belongs to one call and outlives its polls. Kept by engines.
#[derive(Default)]
pub struct CallState {
    limits: Limits,
    /// Made at first use: most calls carry neither a span nor anything of a layer.
    extras: Option<Box<Extras>>,
    /// Where in the stack the call is.
    pub(crate) entered: u32,
    /// How many layers were entered beyond those that have a bit.
    far: u32,
    /// A bit for each layer that is to be left whatever the ending.
    owed: u64,
    /// A bit for each layer that is to be left unless the call succeeds.
    guards: u64,
}

#[derive(Default)]
struct Extras {
    span: Option<Span>,
    scratch: Vec<Box<dyn Any + Send>>,
    part: Option<OfPart>,
}

/// What is called, if it is not the stage as a whole.
struct OfPart {
    part: Arc<Part>,
    value_type: TypeId,
    value_type_name: &'static str,
}

impl CallState {
    /// The state of a call with the limits that the stage sets for itself.
    #[must_use]
    pub fn new(options: &StageOptions) -> Self {
        Self {
            limits: Limits {
                attempt: options.timeout,
                idle: options.idle_timeout,
            },
            extras: None,
            entered: 0,
            far: 0,
            owed: 0,
            guards: 0,
        }
    }

    /// The state of the call of a part of a stage, with the limits that the part sets for itself.
    #[must_use]
    pub fn of_part(call: &PartCall<'_>) -> Self {
        let part = call.cx.part().map(|part| OfPart {
            part: Arc::clone(part),
            value_type: call.value_type,
            value_type_name: call.value_type_name,
        });
        Self {
            limits: Limits {
                attempt: call.limits.timeout,
                idle: call.limits.idle_timeout,
            },
            extras: Some(Box::new(Extras {
                part,
                ..Extras::default()
            })),
            ..Self::default()
        }
    }

    /// How long each attempt may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn part(&self) -> Option<&OfPart> {
        self.extras.as_ref()?.part.as_ref()
    }

    /// The span to enter whenever the stage is polled.
    #[must_use]
    pub fn span(&self) -> Option<&Span> {
        self.extras.as_ref()?.span.as_ref()
    }

    /// Whether a layer was entered that is still to be left, should the call not succeed.
    #[inline]
    #[must_use]
    pub fn is_entered(&self) -> bool {
        self.owed | self.guards != 0 || self.far > 0
    }

    /// Whether a layer was entered that is to be left even if the call succeeds.
    #[inline]
    #[must_use]
    pub fn awaits_success(&self) -> bool {
        self.owed != 0 || self.far > 0
    }

    /// So many layers are about to be reached, and are to be left from now on: also if one panics half-way in.
    #[inline]
    pub(crate) fn set_out(&mut self, layers: usize) {
        let end = self.entered + layers as u32;
        let reached = below(end) & !below(self.entered);
        self.owed |= reached;
        self.guards &= !reached;
        self.far += end.max(BITS) - self.entered.max(BITS);
    }

    /// The call goes no further than the layer it has reached.
    #[cold]
    pub(crate) fn turn_back(&mut self) {
        self.owed &= below(self.entered);
        self.far = self.entered.saturating_sub(BITS);
    }

    /// The layer that was reached last is left out on the way back.
    #[inline]
    pub(crate) fn pass(&mut self) {
        self.owed &= !bit(self.entered - 1);
    }

    /// The layer that was reached last is left out on the way back if the call succeeds.
    #[inline]
    pub(crate) fn guard(&mut self) {
        let bit = bit(self.entered - 1);
        self.owed &= !bit;
        self.guards |= bit;
    }

    /// Goes back over the layer that was reached last. `true` if it is to be left.
    pub(crate) fn go_back(&mut self, succeeded: bool) -> bool {
        self.entered -= 1;
        if self.entered >= BITS {
            self.far -= 1;
            return true;
        }
        let bit = bit(self.entered);
        let left = self.owed & bit != 0 || (!succeeded && self.guards & bit != 0);
        self.owed &= !bit;
        self.guards &= !bit;
        left
    }
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallState")
            .field("limits", &self.limits)
            .field("entered", &self.entered)
            .finish_non_exhaustive()
    }
}
