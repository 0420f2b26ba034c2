//! Attempts that run inside layers that wait, or in tasks of their own.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use stageflow_context::{DynValue, RunHost, StageIndex};
use stageflow_graph::{Inputs, Placement, Plan, Shape};
use stageflow_interceptors::{Call, CallState, Ending, Limits, Stack, Whereabouts, drop_quietly};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::site::{Attempts, Site};
use crate::sabotage::Fault;
use crate::shared::{RunShared, What};
use crate::slots::Holding;
use crate::watchdog::Light;

/// A call that no longer needs the driver.
pub(super) struct OwnedCall {
    shared: Arc<RunShared>,
    host: Arc<dyn RunHost>,
    stage: StageIndex,
    values: Vec<DynValue>,
    limits: Limits,
    span: Option<tracing::Span>,
    /// From when on a poll is long: for stages in the task that drives the run, which they hold meanwhile.
    blocking_threshold: Option<Duration>,
    /// For the engine's watchdog, if it has one.
    light: Option<Arc<Light>>,
    /// What the stage holds, until its task is done.
    _units: Option<Arc<Holding>>,
    whereabouts: Whereabouts,
}

impl OwnedCall {
    pub(super) fn new(
        shared: Arc<RunShared>,
        stage: u32,
        values: Vec<DynValue>,
        state: &CallState,
    ) -> Self {
        Self {
            host: Arc::clone(&shared) as Arc<dyn RunHost>,
            shared,
            stage: StageIndex::new(stage),
            values,
            limits: state.limits(),
            span: state.span().cloned(),
            blocking_threshold: None,
            light: None,
            _units: None,
            whereabouts: Whereabouts::new(),
        }
    }

    /// Keeps what the stage holds for as long as its work goes on, whoever still waits for it.
    pub(super) fn holding(mut self, units: Option<Arc<Holding>>) -> Self {
        self._units = units;
        self
    }

    /// Reports polls that take longer than this.
    pub(super) fn watched(mut self, blocking_threshold: Duration) -> Self {
        self.blocking_threshold = Some(blocking_threshold);
        self
    }

    /// Says who it is that holds the thread, for the watchdog.
    pub(super) fn lit(mut self, light: Option<&Arc<Light>>) -> Self {
        self.light = light.cloned();
        self
    }

    fn site(&self) -> Site<'_> {
        Site {
            shared: &self.shared,
            stage: self.stage,
            part: None,
            blocking_threshold: self.blocking_threshold,
            light: self.light.as_deref(),
        }
    }
}

/// The layers that wait, and the attempts inside them.
pub(super) async fn onion(plan: &Plan, owned: OwnedCall) -> Ending {
    let stack = owned.shared.stack(owned.stage.get());
    let mut state = CallState::new(plan.options(owned.stage.as_usize()));
    let mut call = Call::new(&owned.host, plan, owned.stage, NonZeroU32::MIN, &mut state)
        .reading(&owned.values);
    call.set_limits(owned.limits);
    if let Some(span) = owned.span.clone() {
        call.set_span(span);
    }
    let start = |attempt: NonZeroU32| {
        let values = Inputs::from_values(&owned.values);
        plan.start(owned.stage.as_usize(), &owned.host, attempt, values)
    };
    let attempts = Attempts::new(owned.site(), &start);
    call.follow(&owned.whereabouts);
    let mut stopped = Stopped {
        owned: &owned,
        stack: Some(stack),
    };
    let ending = stack.call(&mut call, &attempts).await;
    stopped.stack = None;
    ending
}

/// Tells which layer a call was waiting in, should its future be dropped.
struct Stopped<'a> {
    owned: &'a OwnedCall,
    stack: Option<&'a Stack>,
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let layer = self
            .stack
            .and_then(|stack| self.owned.whereabouts.layer(stack))
            .filter(|_| {
                let saboteur = &self.owned.shared.engine.saboteur;
                !saboteur.strikes(Fault::ForgetLayer)
            });
        if let Some(layer) = layer {
            let layer = What::StoppedIn(Arc::from(layer));
            self.owned.shared.say(self.owned.stage, 0, layer);
        }
    }
}

/// The same in a task of its own, or one attempt alone if nothing waits around it.
pub(super) async fn detached(plan: Arc<Plan>, owned: OwnedCall) -> Option<Ending> {
    if owned.shared.waits(owned.stage.get()) {
        return Some(onion(&plan, owned).await);
    }
    if owned.shared.cancel.is_cancelled() {
        // The run was told to stop before the task had its first turn.
        return Some(owned.site().interrupted());
    }
    let stage = plan.shared(owned.stage.as_usize());
    let span = owned.span.unwrap_or_else(tracing::Span::none);
    let result = stage
        .run(owned.host, owned.stage, NonZeroU32::MIN, owned.values)
        .instrument(span)
        .await;
    Some(Ending::from_result(
        result,
        &plan.names()[owned.stage.as_usize()],
        NonZeroU32::MIN,
    ))
}

/// Ends at the next await once `stop` is pressed; what the stage ends as then is known to whoever pressed it.
pub(super) async fn unless_stopped(
    stop: CancellationToken,
    work: impl Future<Output = Option<Ending>> + Send,
) -> Option<Ending> {
    let work = Box::pin(work);
    let stopped = std::pin::pin!(stop.cancelled());
    match select(work, stopped).await {
        Either::Left((ending, _)) => ending,
        Either::Right((_, work)) => {
            drop_quietly(work);
            None
        }
    }
}

/// Whether the stage waits for a person: that takes as long as it takes, and only the run's own deadline ends it.
pub(super) fn is_gate(plan: &Plan, stage: u32) -> bool {
    matches!(plan.shape(stage as usize), Shape::Approval)
}

/// Where a stage runs. A gate does nothing but wait: in a task or on a thread of its own it would hold that meanwhile.
#[inline]
pub(super) fn unless_gate(plan: &Plan, stage: u32, placement: Placement) -> Placement {
    if !matches!(placement, Placement::Inherit | Placement::Inline) && is_gate(plan, stage) {
        return Placement::Inline;
    }
    placement
}
