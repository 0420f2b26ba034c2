//! How a stage starts, and how it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use stageflow_context::{Outcome, StageError, StageErrorKind, StageIndex, StageName};
use stageflow_events::EventKind;
use stageflow_graph::{Inputs, Placement, StageFuture, WiringError};
use stageflow_interceptors::{Call, CallState, Ending, Limits, drop_quietly};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Driver;
use super::attempt::{OwnedCall, detached, is_gate, onion, unless_gate, unless_stopped};
use crate::machine::{Input, Tick};
use crate::places::{Job, Polled, Task, Work};
use crate::sabotage::Fault;
use crate::watchdog::{Beacon, Holder};

pub(super) const FIRST: std::num::NonZeroU32 = std::num::NonZeroU32::MIN;

/// How far a stage came at its start.
#[derive(Default)]
struct First<'p> {
    succeeded: bool,
    /// It ended without a value.
    answer: Option<Ending>,
    future: Option<StageFuture<'p>>,
}

#[cold]
fn internal(stage: &StageName, error: WiringError) -> Ending {
    Ending::Failed(StageError::new(
        stage.clone(),
        FIRST,
        StageErrorKind::Internal,
        error,
    ))
}

impl<'p> Driver<'p> {
    /// Enters the layers, starts the work, and polls it once.
    pub(super) fn start(&mut self, stage: u32) {
        let options = self.plan.options(stage as usize);
        self.data.records[stage as usize].started = self.now;
        self.polled = self.now;
        let placement = match options.placement {
            Placement::Inherit => self.settings.placement,
            chosen => chosen,
        };
        let placement = unless_gate(self.plan, stage, placement);
        if self.shared.engine.saboteur.strikes(Fault::SkipStage) && self.pretend(stage) {
            return;
        }
        let alone =
            matches!(placement, Placement::Inherit | Placement::Inline) && !self.waits(stage);
        self.watch_start(stage);
        if alone {
            self.start_inline(stage, CallState::new(options));
        } else {
            self.start_apart(stage, CallState::new(options), placement);
        }
        self.unwatch();
    }

    /// The stage alone, in this task: the way most stages go. Layers, start, first poll and drop share one net for panics.
    ///
    /// The value goes straight into its slot, and whatever is rare stays where it arises: moving a few words about costs as
    /// much here as the scheduling does.
    fn start_inline(&mut self, stage: u32, mut state: CallState) {
        let since = self.now;
        let place = self.places.take();
        let mut first = First::default();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let index = StageIndex::new(stage);
            if !self.stack(stage).is_empty() && !self.is_called_in_parts(stage) {
                let mut call = Call::new(&self.host, self.plan, index, FIRST, &mut state)
                    .reading_slots(&self.data.values);
                self.stack(stage).enter(&mut call, &mut first.answer);
                self.unless_cancelled(&mut first.answer);
                if first.answer.is_some() {
                    return;
                }
                self.watch_on(Holder::Stage);
            }
            if state.limits().idle.is_some() {
                self.shared.count_beats();
            }
            let inputs = Inputs::from_slots(self.plan.upstream(stage as usize), &self.data.values);
            let future = match self.plan.start(stage as usize, &self.host, FIRST, inputs) {
                Ok(future) => first.future.insert(future),
                Err(error) => {
                    first.answer = Some(internal(self.name(stage), error));
                    return;
                }
            };
            self.data.records[stage as usize].attempts = 1;
            self.data
                .events
                .push_with(since, || EventKind::StageStarted {
                    stage: index,
                    attempt: 1,
                });
            let _span = state.span().map(|span| span.enter());
            match future
                .as_mut()
                .poll(&mut Context::from_waker(self.places.waker(place)))
            {
                Poll::Ready(Ok(value)) => {
                    self.data.values[stage as usize] = Some(value);
                    first.succeeded = true;
                }
                Poll::Ready(Err(stop)) => {
                    first.answer = Some(Ending::from_result(Err(stop), self.name(stage), FIRST));
                }
                Poll::Pending => return,
            }
            // The future may hold what the next stage waits for, so it goes before that starts.
            first.future = None;
        }));
        if first.succeeded {
            // A panic in the drop of a future that has given its value comes too late to matter.
            self.places.give_back(place);
            self.tell_succeeded(stage, since);
            if state.awaits_success() {
                self.watch_on(Holder::Layer);
                self.leave(stage, &mut state);
            } else {
                self.data.records[stage as usize].outcome = Some(Outcome::Succeeded);
                self.machine.succeeded(stage, self.now);
            }
            return;
        }
        match (caught, first) {
            (
                Ok(()),
                First {
                    future: Some(future),
                    ..
                },
            ) => {
                self.park(
                    place,
                    Job {
                        stage,
                        state,
                        work: Work::Inline(future),
                        stopped: None,
                    },
                    since,
                );
            }
            (caught, first) => {
                self.places.give_back(place);
                self.note_blocking_at_start(stage, since);
                let ending = self.without_value(stage, &mut state, caught, first);
                self.finish(stage, &mut state, ending);
            }
        }
    }

    /// A stage that ended at its first poll without a value: it stopped, a layer answered or refused, something panicked.
    #[cold]
    fn without_value(
        &mut self,
        stage: u32,
        state: &mut CallState,
        caught: std::thread::Result<()>,
        first: First<'p>,
    ) -> Ending {
        match (caught, first) {
            (
                _,
                First {
                    answer: Some(ending),
                    ..
                },
            ) => ending,
            (Err(payload), First { future: None, .. })
                if self.data.records[stage as usize].attempts == 0 =>
            {
                let mut call =
                    Call::new(&self.host, self.plan, StageIndex::new(stage), FIRST, state);
                self.stack(stage).panicked(&mut call, payload)
            }
            (Err(payload), First { future, .. }) => {
                drop_quietly(future);
                self.ending(stage, Polled::Panicked(payload))
            }
            (Ok(()), _) => Ending::Interrupted(self.reason()),
        }
    }

    /// The stage inside layers that wait, or in a task of its own.
    fn start_apart(&mut self, stage: u32, mut state: CallState, at: Placement) {
        let since = self.now;
        let mut answer = None;
        let mut call = Call::new(
            &self.host,
            self.plan,
            StageIndex::new(stage),
            FIRST,
            &mut state,
        )
        .reading_slots(&self.data.values);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            if !self.is_called_in_parts(stage) {
                self.stack(stage).enter(&mut call, &mut answer);
            }
        }));
        if let Err(payload) = caught {
            answer = Some(self.stack(stage).panicked(&mut call, payload));
        }
        self.unless_cancelled(&mut answer);
        if let Some(ending) = answer {
            return self.finish(stage, &mut state, ending);
        }
        let mut work = match self.begin(stage, &state, at) {
            Ok(work) => work,
            Err(error) => return self.finish(stage, &mut state, internal(self.name(stage), error)),
        };
        if state.limits().idle.is_some() {
            self.shared.count_beats();
        }
        let place = self.places.take();
        let Poll::Ready(polled) = work.poll(&state, self.places.waker(place)) else {
            return self.park(
                place,
                Job {
                    stage,
                    state,
                    work,
                    stopped: None,
                },
                since,
            );
        };
        self.places.give_back(place);
        drop_quietly(work);
        let ending = self.ending(stage, polled);
        self.finish(stage, &mut state, ending);
    }

    /// Seats a stage that has suspended, and only now arms its limits.
    fn park(&mut self, place: u32, job: Job<'p>, since: Tick) {
        let stage = job.stage;
        self.hear();
        self.now = self.shared.now();
        // Inside layers that wait each attempt tells of its own blocking; a task of its own holds nobody.
        if matches!(job.work, Work::Inline(_)) {
            self.note_blocking(stage, since);
        }
        self.data.records[stage as usize].place = place;
        // Layers that wait see to the limits of each attempt themselves.
        if !self.waits(stage) {
            let limits = job.state.limits();
            if limits != Limits::none() && !is_gate(self.plan, stage) {
                let (attempt, idle) = (limits.attempt, limits.idle);
                self.machine.on(
                    Input::Suspended {
                        stage,
                        since,
                        attempt,
                        idle,
                    },
                    self.now,
                );
            }
        }
        if is_gate(self.plan, stage) {
            self.machine.on(Input::Aside { stage }, self.now);
        }
        self.places.seat(place, job);
    }

    /// The work of a stage that is not alone in this task.
    fn begin(
        &mut self,
        stage: u32,
        state: &CallState,
        placement: Placement,
    ) -> Result<Work<'p>, WiringError> {
        let inputs = Inputs::from_slots(self.plan.upstream(stage as usize), &self.data.values);
        let call = OwnedCall::new(Arc::clone(&self.shared), stage, inputs.to_values()?, state);
        if matches!(placement, Placement::Inherit | Placement::Inline) {
            let light = self.beacon.as_ref().map(Beacon::light);
            let call = call.watched(self.settings.blocking_threshold).lit(light);
            return Ok(Work::Onion(Box::pin(onion(self.plan, call))));
        }
        if !self.waits(stage) {
            self.tell_started(stage);
        }
        let call = call.holding(self.units_of(stage));
        let plan = Arc::clone(&self.shared.plan);
        let tracker = &self.shared.engine.tracker;
        Ok(Work::Task(match placement {
            Placement::Blocking => {
                let stop = CancellationToken::new();
                let (stopped, runtime) = (stop.clone(), Handle::current());
                let work = move || runtime.block_on(unless_stopped(stopped, detached(plan, call)));
                Task::new(tracker.spawn_blocking(work), Some(stop))
            }
            _ => Task::new(self.spawn(stage, plan, call), None),
        }))
    }

    /// Without layers that wait there is one attempt, and the driver tells of it.
    pub(super) fn tell_started(&mut self, stage: u32) {
        self.data.records[stage as usize].attempts = 1;
        self.data.events.push(
            self.now,
            EventKind::StageStarted {
                stage: StageIndex::new(stage),
                attempt: 1,
            },
        );
    }
}
