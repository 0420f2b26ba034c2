//! Attempts that run inside layers that wait, or in tasks of their own.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use stageflow_context::{
    CancelReason, DynValue, ErrorClass, Outcome, RunHost, StageError, StageErrorKind, StageIndex,
    Stop,
};
use stageflow_graph::{Inputs, Plan, StageFuture};
use stageflow_interceptors::{
    Attempt, Call, CallState, Ending, Limits, Stack, drop_quietly, panic_message,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::at_least_one;
use crate::engine::EngineInner;
use crate::shared::{RunShared, What};
use crate::watchdog::{Holder, Light};

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
        }
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

    fn hold(&self, holder: Holder) {
        if let Some(light) = &self.light {
            light.pass_to(holder);
        }
    }

    fn was_reported(&self) -> bool {
        self.light.as_ref().is_some_and(|light| light.is_reported())
    }

    fn interrupted(&self) -> Ending {
        let reason = self.shared.cancel.reason().cloned();
        Ending::Interrupted(
            reason.unwrap_or_else(|| CancelReason::requested("the stage was stopped")),
        )
    }
}

/// The layers that wait, and the attempts inside them.
pub(super) async fn onion(stack: &Stack, plan: &Plan, owned: OwnedCall) -> Ending {
    let mut state = CallState::new(plan.options(owned.stage.as_usize()));
    let mut call = Call::new(&owned.host, plan, owned.stage, NonZeroU32::MIN, &mut state);
    call.set_limits(owned.limits);
    if let Some(span) = owned.span.clone() {
        call.set_span(span);
    }
    let attempts = Attempts {
        plan,
        owned: &owned,
        count: AtomicU32::new(0),
    };
    stack.call(&mut call, &attempts).await
}

/// The same in a task of its own, or one attempt alone if nothing waits around it.
pub(super) async fn detached(
    engine: Arc<EngineInner>,
    plan: Arc<Plan>,
    owned: OwnedCall,
) -> Option<Ending> {
    if engine.stack.waits() {
        return Some(onion(&engine.stack, &plan, owned).await);
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

/// Numbers attempts and tells of each: one start, one end.
struct Attempts<'a> {
    plan: &'a Plan,
    owned: &'a OwnedCall,
    count: AtomicU32,
}

impl Attempt for Attempts<'_> {
    fn run<'a>(&'a self, call: &'a mut Call<'_>) -> BoxFuture<'a, Ending> {
        Box::pin(async move {
            let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
            let attempt = at_least_one(number);
            call.set_attempt(attempt);
            let owned = self.owned;
            if number > 1 {
                // What the attempt before has left behind must not meet what this one starts.
                owned.shared.children.gone_from(call.stage().as_str()).await;
            }
            owned.shared.say(owned.stage, number, What::Started);
            let mut told = Told {
                owned,
                number,
                ending: None,
            };
            let work = self.plan.start(
                owned.stage.as_usize(),
                &owned.host,
                attempt,
                Inputs::from_values(&owned.values),
            );
            let ending = match work {
                Err(error) => Ending::Failed(call.error(StageErrorKind::Internal, error)),
                Ok(mut work) => {
                    let ended = limited(
                        caught(&mut work, call.span(), owned),
                        call.limits(),
                        &owned.shared,
                        owned.stage,
                    )
                    .await;
                    drop_quietly(work);
                    match ended {
                        Ok(Ok(result)) => Ending::from_result(result, call.stage(), attempt),
                        Ok(Err(payload)) => {
                            let kind = StageErrorKind::Panicked(ErrorClass::Permanent);
                            Ending::Failed(call.error(kind, panic_message(payload)))
                        }
                        Err(kind) => {
                            Ending::Failed(StageError::bare(call.stage().clone(), attempt, kind))
                        }
                    }
                }
            };
            told.ending = Some((ending.outcome(), ending.error().cloned()));
            drop(told);
            ending
        })
    }
}

/// The stage's result, polled inside the call's span, or what it panicked with.
fn caught<'a>(
    work: &'a mut StageFuture<'_>,
    span: Option<&'a tracing::Span>,
    owned: &'a OwnedCall,
) -> impl Future<Output = std::thread::Result<Result<DynValue, Stop>>> + Send + 'a {
    std::future::poll_fn(move |cx| {
        let _span = span.map(|span| span.enter());
        let since = owned
            .blocking_threshold
            .map(|limit| (owned.shared.now(), limit));
        owned.hold(Holder::Stage);
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        owned.hold(Holder::Layer);
        if let Some((since, limit)) = since {
            let held = owned.shared.now().elapsed().saturating_sub(since.elapsed());
            if held > limit || owned.was_reported() {
                owned.shared.say(owned.stage, 0, What::Blocking(held));
            }
        }
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
}

/// Tells of an attempt's end, also if its future is dropped.
struct Told<'a> {
    owned: &'a OwnedCall,
    number: u32,
    ending: Option<(Outcome, Option<StageError>)>,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let (outcome, error) = self
            .ending
            .take()
            .unwrap_or_else(|| (self.owned.interrupted().outcome(), None));
        self.owned.shared.say(
            self.owned.stage,
            self.number,
            What::Ended { outcome, error },
        );
    }
}

/// The work within its limits. The timer is armed only if the work suspends.
async fn limited<T>(
    work: impl Future<Output = T>,
    limits: Limits,
    shared: &RunShared,
    stage: StageIndex,
) -> Result<T, StageErrorKind> {
    if limits == Limits::none() {
        return Ok(work.await);
    }
    if limits.idle.is_some() {
        shared.count_beats();
    }
    let since = shared.now();
    let mut work = std::pin::pin!(work);
    loop {
        let heard = shared
            .last_beat(stage.get())
            .map_or(since, |beat| beat.max(since));
        let total = limits
            .attempt
            .map(|limit| (since.after(limit), StageErrorKind::TimedOut(limit)));
        let idle = limits
            .idle
            .map(|limit| (heard.after(limit), StageErrorKind::IdleTimedOut(limit)));
        let Some((at, kind)) = total.into_iter().chain(idle).min_by_key(|(at, _)| *at) else {
            return Ok(work.await);
        };
        let timer = std::pin::pin!(tokio::time::sleep_until(shared.started + at.elapsed()));
        if let Either::Left((done, _)) = select(work.as_mut(), timer).await {
            return Ok(done);
        }
        let later = shared
            .last_beat(stage.get())
            .is_some_and(|beat| beat > heard);
        if !(later && matches!(kind, StageErrorKind::IdleTimedOut(_))) {
            return Err(kind);
        }
    }
}
