//! How a stage starts, and how it ends.

use std::sync::Arc;
use std::task::Poll;

use stageflow_context::{CancelReason, ErrorClass, Outcome, StageCx, StageError, StageErrorKind, StageIndex};
use stageflow_events::EventKind;
use stageflow_graph::{Inputs, Placement, StageFuture, WiringError};
use stageflow_interceptors::{Call, CallState, Ending, panic_message};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::attempt::{OwnedCall, detached, onion, unless_stopped};
use super::{Driver, at_least_one};
use crate::data::Skip;
use crate::machine::{Input, StageEnd};
use crate::places::{Job, Polled, Task, Work};

const FIRST: std::num::NonZeroU32 = std::num::NonZeroU32::MIN;

impl<'p> Driver<'p> {
    /// Enters the layers, starts the work, and polls it once.
    pub(super) fn start(&mut self, stage: u32) {
        let index = stage as usize;
        let since = self.now;
        self.data.records[index].started = since;
        let mut state = CallState::new(self.plan.options(index));
        if !self.stack.is_empty() {
            let mut call = Call::new(&self.host, self.plan, StageIndex::new(stage), FIRST, &mut state);
            if let Some(ending) = self.stack.enter(&mut call) {
                return self.finish(stage, state, ending);
            }
        }
        let work = match self.begin(stage, &state) {
            Ok(work) => work,
            Err(error) => {
                let error = StageError::new(self.name(stage).clone(), FIRST, StageErrorKind::Internal, error);
                return self.finish(stage, state, Ending::Failed(error));
            }
        };
        let mut job = Job { stage, state, work, stopped: None };
        let place = self.places.take(&self.shared);
        let polled = job.work.poll(&job.state, self.places.waker(place));
        match polled {
            Poll::Ready(polled) => {
                self.places.give_back(place);
                // The future may hold what the next stage waits for, so it goes first.
                crate::places::drop_quietly(job.work);
                let ending = self.ending(stage, polled);
                self.finish(stage, job.state, ending);
                self.note_long_poll(stage, since);
            }
            Poll::Pending => {
                self.now = self.shared.now();
                self.note_long_poll(stage, since);
                self.data.records[index].place = place;
                let limits = job.state.limits();
                if !self.stack.waits() && (limits.attempt.is_some() || limits.idle.is_some()) {
                    if limits.idle.is_some() {
                        self.shared.count_beats();
                    }
                    let (attempt, idle) = (limits.attempt, limits.idle);
                    self.machine.on(Input::Suspended { stage, since, attempt, idle }, self.now);
                }
                self.places.seat(place, job);
            }
        }
    }

    /// The work of a stage, where it is to be done.
    fn begin(&mut self, stage: u32, state: &CallState) -> Result<Work<'p>, WiringError> {
        let index = stage as usize;
        let placement = match self.plan.options(index).placement {
            Placement::Inherit => self.settings.placement,
            chosen => chosen,
        };
        let inputs = Inputs::from_slots(self.plan.upstream(index), &self.data.values);
        if matches!(placement, Placement::Inherit | Placement::Inline) {
            if self.stack.waits() {
                let call = OwnedCall::new(Arc::clone(&self.shared), stage, inputs.to_values()?, state);
                return Ok(Work::Onion(Box::pin(onion(self.stack, self.plan, call))));
            }
            let cx = StageCx::new(Arc::clone(&self.host), StageIndex::new(stage), FIRST);
            let future: StageFuture<'p> = self.plan.start(index, cx, inputs)?;
            self.tell_started(stage);
            return Ok(Work::Inline(future));
        }
        let call = OwnedCall::new(Arc::clone(&self.shared), stage, inputs.to_values()?, state);
        if !self.stack.waits() {
            self.tell_started(stage);
        }
        let (plan, engine) = (Arc::clone(&self.data.plan), Arc::clone(&self.data.engine));
        let tracker = &self.data.engine.tracker;
        Ok(Work::Task(match placement {
            Placement::Blocking => {
                let stop = CancellationToken::new();
                let (stopped, runtime) = (stop.clone(), Handle::current());
                let work = move || runtime.block_on(unless_stopped(stopped, detached(engine, plan, call)));
                Task::new(tracker.spawn_blocking(work), Some(stop))
            }
            _ => Task::new(tracker.spawn(detached(engine, plan, call)), None),
        }))
    }

    /// Without layers that wait there is one attempt, and the driver tells of it.
    fn tell_started(&mut self, stage: u32) {
        self.data.records[stage as usize].attempts = 1;
        self.data.events.push(self.now, EventKind::StageStarted { stage: StageIndex::new(stage), attempt: 1 });
    }

    /// What a poll came to.
    #[inline]
    pub(super) fn ending(&self, stage: u32, polled: Polled) -> Ending {
        match polled {
            Polled::Result(result) => Ending::from_result(result, self.name(stage), FIRST),
            Polled::Ending(ending) => ending,
            Polled::Panicked(payload) => Ending::Failed(StageError::new(
                self.name(stage).clone(),
                at_least_one(self.data.records[stage as usize].attempts),
                StageErrorKind::Panicked(ErrorClass::Permanent),
                panic_message(&*payload),
            )),
            Polled::Gone => Ending::Interrupted(self.reason()),
        }
    }

    /// Leaves the layers, writes down how it ended, and tells the machine.
    #[inline]
    pub(super) fn finish(&mut self, stage: u32, mut state: CallState, mut ending: Ending) {
        if state.is_entered() {
            let mut call = Call::new(&self.host, self.plan, StageIndex::new(stage), FIRST, &mut state);
            self.stack.exit(&mut call, &mut ending);
        }
        // What the stage said while it ran comes before its end.
        self.hear();
        self.now = self.shared.now();
        let outcome = ending.outcome();
        let record = &mut self.data.records[stage as usize];
        record.ended = self.now;
        record.outcome = Some(outcome);
        self.tell_ended(stage, &ending, outcome);
        let end = self.settle(stage, ending);
        self.machine.on(Input::Ended { stage, end }, self.now);
    }

    fn tell_ended(&mut self, stage: u32, ending: &Ending, outcome: Outcome) {
        let record = self.data.records[stage as usize];
        let (index, attempt, error) = (StageIndex::new(stage), record.attempts, ending.error().cloned());
        if !self.stack.waits() && attempt > 0 {
            self.data.events.push(self.now, EventKind::StageEnded { stage: index, attempt, outcome, error });
        } else if record.told != Some(outcome) {
            // A layer answered, refused, or made something else of the last attempt.
            self.data.events.push(self.now, EventKind::StageAnswered { stage: index, outcome, error });
        }
    }

    /// Keeps the value, or why there is none.
    fn settle(&mut self, stage: u32, ending: Ending) -> StageEnd {
        match ending {
            Ending::Succeeded(value) => {
                self.data.values[stage as usize] = Some(value);
                return StageEnd::Succeeded;
            }
            Ending::Denied(error) => {
                self.signal(CancelReason::Denied { stage: self.name(stage).clone() });
                self.data.errors.push(error);
                StageEnd::Denied
            }
            Ending::Failed(error) => {
                self.data.errors.push(error);
                StageEnd::Failed
            }
            Ending::Skipped(reason) => {
                self.data.skips.push(Skip { stage, because: stage, reason });
                StageEnd::Skipped
            }
            Ending::CancelRun(reason) => {
                self.signal(CancelReason::StageAsked { stage: self.name(stage).clone(), reason });
                StageEnd::CancelledRun
            }
            _ => StageEnd::Interrupted,
        }
    }

    /// Tells the stages that still run why they should stop. The first reason stays.
    pub(super) fn signal(&self, reason: CancelReason) {
        self.shared.cancel.cancel(reason);
    }
}
