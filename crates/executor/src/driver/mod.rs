//! The shell: turns the machine's effects into polls, timers and values.
//!
//! One task drives a run. A ready stage is polled once in place and takes a seat only if it suspends; timers are armed only
//! then. Nothing here is shared with other runs.

mod attempt;
mod branch;
mod broken;
mod finish;
mod limits;
mod part;
mod queue;
mod site;
mod start;
mod stop;
mod watched;

pub(crate) use part::carry_out;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use stageflow_context::{CancelReason, RunHost, StageIndex};
use stageflow_events::EventKind;
use stageflow_graph::Plan;
use stageflow_interceptors::{Pass, Stack, drop_quietly};
use tokio::task::coop;
use tokio::time::Sleep;

use crate::data::RunData;
use crate::door::Arrived;
use crate::engine::EngineInner;
use crate::machine::{Effect, Input, RunMachine, Tick, Verdict};
use crate::places::{Places, Polled, Work};
use crate::sabotage::Fault;
use crate::settings::RunSettings;
use crate::shared::RunShared;
use crate::watchdog::{Beacon, Told};

/// The run while its stages run.
pub(crate) struct Driver<'p> {
    pub(super) plan: &'p Plan,
    pub(super) shared: Arc<RunShared>,
    pub(super) host: Arc<dyn RunHost>,
    pub(super) machine: RunMachine<'p>,
    pub(super) places: Places<'p>,
    pub(super) data: Box<RunData>,
    pub(super) settings: RunSettings,
    pub(super) now: Tick,
    /// When the last poll of a stage began, or was looked at as a long one.
    pub(super) polled: Tick,
    pub(super) woken: VecDeque<u32>,
    sleep: Option<(Tick, Pin<Box<Sleep>>)>,
    /// In nanoseconds.
    blocking_threshold: u64,
    begun: bool,
    /// For the engine's watchdog, if it has one.
    pub(super) beacon: Option<Beacon>,
    /// Only if a stage of the run needs what other runs may have.
    counted: Option<Box<queue::Counted>>,
}

/// Why the driver paused.
enum Pause {
    Done(Verdict),
    /// Nothing more can be started.
    Idle,
    /// The task has had its share; it was woken already.
    Yield,
}

impl<'p> Driver<'p> {
    pub(crate) fn new(
        plan: &'p Plan,
        engine: &'p EngineInner,
        data: Box<RunData>,
        settings: RunSettings,
    ) -> Self {
        let shared = Arc::clone(&data.shared);
        // One that comes from above is not this run's to keep: it is stopped when the time comes.
        let deadline = shared
            .deadline
            .filter(|_| settings.deadline.is_some())
            .filter(|_| !engine.saboteur.strikes(Fault::ForgetDeadline))
            .map(|at| Tick::ZERO.after(at.saturating_duration_since(shared.started)));
        Self {
            plan,
            host: Arc::clone(&shared) as Arc<dyn RunHost>,
            machine: broken::machine(plan, engine, settings.concurrency, deadline)
                .on_failure(settings.on_failure),
            places: Places::new(Arc::clone(&shared)),
            now: Tick::ZERO,
            polled: Tick::ZERO,
            counted: queue::Counted::of(&shared),
            shared,
            data,
            settings,
            woken: VecDeque::new(),
            sleep: None,
            blocking_threshold: u64::try_from(settings.blocking_threshold.as_nanos())
                .unwrap_or(u64::MAX),
            begun: false,
            beacon: None,
        }
    }

    /// The layers around a stage.
    #[inline]
    pub(super) fn stack(&self, stage: u32) -> &Stack {
        self.shared.stack(stage)
    }

    /// Whether anything was started: dropped before that, a run never was.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The time, as of the last thing that happened.
    pub(crate) fn now(&self) -> Tick {
        self.now
    }

    /// What is left when every stage has ended.
    pub(crate) fn into_data(mut self, verdict: Verdict) -> Box<RunData> {
        // What stopped the run may have come after what decided how it ends.
        self.signal_verdict(self.machine.verdict().or(Some(verdict)));
        let verdict = self.agreed(verdict);
        self.data.verdict = verdict;
        self.data.spoil();
        if let Verdict::Failed(stage) | Verdict::Denied(stage) = verdict {
            let primary = self
                .data
                .errors
                .iter()
                .position(|error| error.stage() == self.name(stage));
            self.data.errors[..=primary.unwrap_or(0)].rotate_right(1);
        }
        self.data
    }

    /// What the door has made of the run, before it begins. What it holds is held until it is over.
    pub(crate) fn let_in(&mut self, arrived: Arrived) -> Vec<Pass> {
        let (shared, data) = (&self.shared, &mut self.data);
        shared.know(arrived.identity, arrived.attached);
        if let Some(budget) = &arrived.budget {
            shared.spend_from(budget);
        }
        data.events.readdress(shared);
        data.said = arrived.said;
        arrived.admitted.unwrap_or_else(|refusal| {
            data.refusal = Some(refusal);
            Vec::new()
        })
    }

    /// The run has gone away from the door, and what was said there must be known.
    #[cold]
    pub(crate) fn tell_of(&mut self, left: Arrived) {
        drop(self.let_in(left));
        self.now = self.shared.now();
        self.tell_beginning();
    }

    fn tell_beginning(&mut self) {
        self.begun = true;
        self.data.events.push(self.now, EventKind::RunStarted);
        for notice in std::mem::take(&mut self.data.said) {
            let kind = EventKind::Audit(Box::new(notice));
            self.data.events.push(self.now, kind);
        }
    }

    fn begin_run(&mut self) {
        let watchdog = self.shared.engine.watchdog.as_ref();
        self.beacon = watchdog.map(|watchdog| watchdog.beacon(&self.shared, Told::ByDriver));
        if self.shared.engine.registry.is_closing() {
            self.signal(CancelReason::Shutdown);
        }
        self.tell_beginning();
        if !self.refuse() {
            self.machine.on(Input::Begin, self.now);
        }
    }

    /// Everything that can be done now. Ready when every stage that was started has ended.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        self.shared.wake.begin_turn(cx.waker());
        self.now = self.shared.now();
        if !self.begun {
            self.begin_run();
        }
        loop {
            // Also in a turn that never gets to rest, limits are kept.
            if self.machine.next_timer().is_some_and(|at| at <= self.now) {
                self.machine.on(Input::Tick, self.now);
            }
            match self.work_off(cx) {
                Pause::Done(verdict) => {
                    self.hear();
                    return Poll::Ready(verdict);
                }
                Pause::Yield => break,
                Pause::Idle => {}
            }
            self.hear();
            self.take_woken();
            if !self.woken.is_empty() {
                if self.poll_woken(cx) {
                    continue;
                }
                break;
            }
            if self.poll_timer(cx) {
                continue;
            }
            self.data.events.flush();
            self.shared.wake.end_turn();
            // What came in while the turn ended was not announced.
            self.take_woken();
            let cancelled = self.shared.cancel.is_cancelled()
                && self.machine.verdict().is_none()
                && !self.cancels_late();
            if self.woken.is_empty() && !cancelled && !self.shared.has_mail() {
                return Poll::Pending;
            }
            self.shared.wake.begin_turn(cx.waker());
            self.now = self.shared.now();
        }
        // The task goes on soon: what has gathered since the last full batch can wait for it.
        self.shared.wake.end_turn();
        Poll::Pending
    }

    /// Carries out the machine's effects until there are none.
    fn work_off(&mut self, cx: &mut Context<'_>) -> Pause {
        loop {
            self.notice_cancel();
            let Some(effect) = self.machine.next_effect() else {
                return Pause::Idle;
            };
            match effect {
                Effect::Start(stage) => {
                    self.admit(stage);
                    if !proceed(cx) {
                        return Pause::Yield;
                    }
                }
                Effect::Done(verdict) => return Pause::Done(verdict),
                Effect::Expire { stage, limit } => self.expire(stage, limit),
                Effect::Stop => {
                    self.poll_last(cx);
                    self.stop_all();
                }
                effect => self.settle(effect),
            }
        }
    }

    /// Tells the machine that somebody outside wants the run to stop, once somebody does.
    fn notice_cancel(&mut self) {
        if self.shared.cancel.is_cancelled()
            && self.machine.verdict().is_none()
            && !self.cancels_late()
        {
            self.machine.on(Input::Cancel, self.now);
        }
    }

    /// Adds those that were woken since the last time. Of those, the one declared first has its turn first, whatever the
    /// order in which a runtime wakes them; those that wait already keep their turn.
    pub(super) fn take_woken(&mut self) {
        let waiting = self.woken.len();
        self.shared.wake.take(&mut self.woken);
        if self.woken.len() > waiting + 1 {
            let places = &self.places;
            self.woken.make_contiguous()[waiting..]
                .sort_unstable_by_key(|place| places.stage(*place));
        }
    }

    /// Polls the stages that were woken. `false` if the task has had its share.
    fn poll_woken(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(place) = self.woken.pop_front() {
            self.poll_place(place);
            self.settle_all();
            if !proceed(cx) {
                if !self.woken.is_empty() {
                    cx.waker().wake_by_ref();
                }
                return false;
            }
        }
        true
    }

    /// Polls the stage that sits at a place. `true` if it has ended.
    pub(super) fn poll_place(&mut self, place: u32) -> bool {
        let before = self.now;
        if self.beacon.is_some() {
            self.watch_place(place);
        }
        let polled = self.places.poll(place);
        let Some((stage, polled)) = polled else {
            self.unwatch();
            return false;
        };
        self.hear();
        self.now = self.shared.now();
        if self
            .places
            .job(place)
            .is_some_and(|job| matches!(job.work, Work::Inline(_)))
        {
            self.note_blocking(stage, before);
        }
        self.unwatch();
        let Poll::Ready(polled) = polled else {
            return false;
        };
        let Some(mut job) = self.places.unseat(place) else {
            return false;
        };
        let polled = match polled {
            Polled::Admitted(permit) => {
                self.admitted(stage, permit);
                return false;
            }
            polled => polled,
        };
        let ending = match (polled, job.stopped) {
            (Polled::Gone, Some(stopped)) => stopped,
            (Polled::Panicked(payload), Some(stopped)) => {
                // It panicked while it was being stopped.
                drop_quietly(payload);
                stopped
            }
            (polled, _) => self.ending(stage, polled),
        };
        drop_quietly(job.work);
        self.finish(stage, &mut job.state, ending);
        true
    }

    /// Everything that was said outside the driver.
    #[inline]
    pub(super) fn hear(&mut self) {
        if self.shared.has_mail() {
            self.data.hear(self.shared.take_mail());
        }
    }

    #[inline]
    pub(super) fn note_blocking(&mut self, stage: u32, since: Tick) {
        let held = self.now.as_nanos().saturating_sub(since.as_nanos());
        if held > self.blocking_threshold || self.was_reported() {
            self.data.blocking_detected(
                StageIndex::new(stage),
                Duration::from_nanos(held),
                self.now,
            );
        }
    }

    pub(super) fn name(&self, stage: u32) -> &'p stageflow_context::StageName {
        &self.plan.names()[stage as usize]
    }

    /// Why the stages that still run are stopped.
    pub(super) fn reason(&self) -> CancelReason {
        self.shared
            .cancel
            .reason()
            .cloned()
            .unwrap_or(CancelReason::Shutdown)
    }
}

/// Whether the task may go on in this turn. If not, it was woken for the next.
#[inline]
fn proceed(cx: &mut Context<'_>) -> bool {
    match coop::poll_proceed(cx) {
        Poll::Ready(budget) => {
            budget.made_progress();
            true
        }
        Poll::Pending => false,
    }
}

pub(crate) fn at_least_one(attempts: u32) -> std::num::NonZeroU32 {
    std::num::NonZeroU32::new(attempts).unwrap_or(std::num::NonZeroU32::MIN)
}
