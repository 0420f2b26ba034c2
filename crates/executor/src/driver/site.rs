//! One attempt of a stage or of a part of one: told of, limited, watched, and let go of without harm.

use std::any::Any;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use stageflow_context::{
    CancelReason, DynValue, ErrorClass, Outcome, Part, RunHost as _, StageError, StageErrorKind,
    StageIndex, Stop,
};
use stageflow_events::PartEnded;
use stageflow_graph::{StageFuture, WiringError};
use stageflow_interceptors::{Attempt, Call, Ending, Limits, panic_message};

use super::at_least_one;
use crate::machine::Tick;
use crate::meter::admit;
use crate::quiet::Quiet;
use crate::sabotage::{Fault, Saboteur};
use crate::shared::{RunShared, What, lock};
use crate::watchdog::{Holder, Light};

/// Where in a run an attempt is.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) shared: &'a RunShared,
    pub(super) stage: StageIndex,
    /// `None` for the stage as a whole.
    pub(super) part: Option<&'a Arc<Part>>,
    /// From when on a poll is long: for stages in the task that drives the run, which they hold meanwhile.
    pub(super) blocking_threshold: Option<Duration>,
    /// For the engine's watchdog, if it has one.
    pub(super) light: Option<&'a Light>,
}

impl Site<'_> {
    /// How an attempt ends that is stopped.
    pub(super) fn interrupted(&self) -> Ending {
        let reason = self.shared.cancel.reason().cloned();
        Ending::Interrupted(
            reason.unwrap_or_else(|| CancelReason::requested("the stage was stopped")),
        )
    }

    /// Says who it is that holds the thread, to the watchdog.
    fn hold(&self, holder: Holder) {
        if let Some(light) = self.light {
            light.pass_to(holder);
        }
    }

    /// Tells of a start. `false` if the run has ended: nobody would hear of what is started now.
    async fn tell_start(&self, attempt: u32) -> bool {
        let Some(part) = self.part else {
            self.shared.say(self.stage, attempt, What::Started);
            return true;
        };
        self.shared.beat(self.stage, part.within());
        loop {
            // A part that finds no room waits: a driver that is busy must not be buried under what it cannot hear.
            let room = self.shared.room();
            match self.shared.say_part_started(self.stage, attempt, part) {
                Some(true) => return true,
                Some(false) => room.await,
                None => return false,
            }
        }
    }

    /// Waits until the runs are gone that an earlier attempt has started.
    async fn gone(&self) {
        let part = self.part.map(|part| &**part);
        self.shared.children.gone_from(self.stage, part).await;
    }

    fn tell_end(&self, attempt: u32, outcome: Outcome, error: Option<StageError>) {
        let what = match self.part {
            None => What::Ended { outcome, error },
            Some(_) if self.saboteur().strikes(Fault::ForgetPartEnd) => return,
            Some(part) => {
                self.shared.beat(self.stage, part.within());
                let part = Arc::clone(part);
                let ended = PartEnded::new(self.stage, part, attempt, outcome, error);
                What::PartEnded(Box::new(ended))
            }
        };
        self.shared.say(self.stage, attempt, what);
    }

    fn saboteur(&self) -> &Saboteur {
        &self.shared.engine.saboteur
    }

    fn last_beat(&self) -> Option<Tick> {
        match self.part {
            None => self.shared.last_beat(self.stage.get()),
            Some(part) => self.shared.last_part_beat(self.stage, part),
        }
    }
}

/// Starts an attempt with this number.
pub(super) type Start<'a> =
    dyn Fn(NonZeroU32) -> Result<StageFuture<'a>, WiringError> + Send + Sync + 'a;

/// Numbers attempts and tells of each: one start, one end.
pub(super) struct Attempts<'a> {
    site: Site<'a>,
    start: &'a Start<'a>,
    count: AtomicU32,
    last: Mutex<Option<Outcome>>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(site: Site<'a>, start: &'a Start<'a>) -> Self {
        Self {
            site,
            start,
            count: AtomicU32::new(0),
            last: Mutex::new(None),
        }
    }

    /// How many were started.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// How the last one ended.
    pub(super) fn last(&self) -> Option<Outcome> {
        *lock(&self.last)
    }

    /// One attempt.
    pub(super) async fn once(&self, call: &mut Call<'_>) -> Ending {
        let number = self.count.load(Ordering::Relaxed) + 1;
        if number > 1 {
            // What the attempt before has left behind must not meet what this one starts.
            self.site.gone().await;
        }
        // Held until the attempt has ended, also if it is dropped: what was started is spent.
        let Site {
            shared,
            stage,
            part,
            ..
        } = self.site;
        let _metered = match admit(shared, stage, part).await {
            Ok(metered) => metered,
            Err(error) => {
                let reason = CancelReason::BudgetExhausted(error);
                self.site.shared.request_cancel(reason);
                return self.site.interrupted();
            }
        };
        if self.site.shared.cancel.is_cancelled() {
            return self.site.interrupted();
        }
        if !self.site.tell_start(number).await {
            return self.site.interrupted();
        }
        self.count.store(number, Ordering::Relaxed);
        let attempt = at_least_one(number);
        call.set_attempt(attempt);
        let mut told = Told {
            attempts: self,
            number,
            ending: None,
        };
        let ending = self.end_of(call, attempt).await;
        if let (None, Ending::Succeeded(value)) = (part, &ending) {
            shared.keep_given(stage.get(), value);
        }
        told.ending = Some((ending.outcome(), ending.error().cloned()));
        drop(told);
        ending
    }

    async fn end_of(&self, call: &mut Call<'_>, attempt: NonZeroU32) -> Ending {
        let started = catch_unwind(AssertUnwindSafe(|| (self.start)(attempt)));
        let mut work = match started {
            Ok(Ok(work)) => Quiet::new(work),
            Ok(Err(error)) => return Ending::Failed(call.error(StageErrorKind::Internal, error)),
            Err(payload) => return panicked(call, payload),
        };
        // The call's own span is that of the first attempt.
        let again = (attempt.get() > 1)
            .then(|| call.span().map(|span| call.cx().log_span_below(span)))
            .flatten();
        let polled = caught(&mut work, again.as_ref().or_else(|| call.span()), self.site);
        match limited(polled, call.limits(), self.site).await {
            Ok(Ok(result)) => call.ending(result),
            Ok(Err(payload)) => panicked(call, payload),
            Err(kind) => Ending::Failed(call.bare_error(kind)),
        }
    }
}

impl Attempt for Attempts<'_> {
    fn run<'a>(&'a self, call: &'a mut Call<'_>) -> BoxFuture<'a, Ending> {
        Box::pin(self.once(call))
    }
}

fn panicked(call: &Call<'_>, payload: Box<dyn Any + Send>) -> Ending {
    let kind = StageErrorKind::Panicked(ErrorClass::Permanent);
    Ending::Failed(call.error(kind, panic_message(payload)))
}

/// The result of the work, polled inside the call's span, or what it panicked with.
fn caught<'a>(
    work: &'a mut Quiet<'_, Result<DynValue, Stop>>,
    span: Option<&'a tracing::Span>,
    site: Site<'a>,
) -> impl Future<Output = std::thread::Result<Result<DynValue, Stop>>> + Send + 'a {
    std::future::poll_fn(move |cx| {
        let _span = span.map(|span| span.enter());
        let since = site
            .blocking_threshold
            .map(|limit| (site.shared.now(), limit));
        site.hold(Holder::Stage);
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *work).poll(cx)));
        site.hold(Holder::Layer);
        if let Some((since, limit)) = since {
            let held = site.shared.now().elapsed().saturating_sub(since.elapsed());
            if held > limit || site.light.is_some_and(Light::is_reported) {
                site.shared.say(site.stage, 0, What::Blocking(held));
            }
        }
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
}

/// Tells of an attempt's end, also if its future is dropped.
struct Told<'a, 'b> {
    attempts: &'a Attempts<'b>,
    number: u32,
    ending: Option<(Outcome, Option<StageError>)>,
}

impl Drop for Told<'_, '_> {
    fn drop(&mut self) {
        let site = self.attempts.site;
        let (outcome, error) = self
            .ending
            .take()
            .unwrap_or_else(|| (site.interrupted().outcome(), None));
        if site.part.is_some() {
            *lock(&self.attempts.last) = Some(outcome);
        }
        site.tell_end(self.number, outcome, error);
    }
}

/// The work within its limits. The timer is armed only if the work suspends.
async fn limited<T>(
    work: impl Future<Output = T>,
    limits: Limits,
    site: Site<'_>,
) -> Result<T, StageErrorKind> {
    if limits == Limits::none() {
        return Ok(work.await);
    }
    let shared = site.shared;
    let since = shared.now();
    let _counting = limits.idle.and_then(|_| match site.part {
        None => {
            shared.count_beats();
            None
        }
        Some(part) => Some(shared.count_part_beats(site.stage, part, since)),
    });
    let mut work = std::pin::pin!(work);
    loop {
        let heard = site.last_beat().map_or(since, |beat| beat.max(since));
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
        let later = site.last_beat().is_some_and(|beat| beat > heard);
        if site.saboteur().strikes(Fault::IgnoreLimit) {
            return Ok(work.await);
        }
        if !(later && matches!(kind, StageErrorKind::IdleTimedOut(_))) {
            return Err(kind);
        }
    }
}
