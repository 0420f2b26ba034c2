//! How a stage ends.

use stageflow_context::{ErrorClass, Outcome, StageError, StageErrorKind, StageIndex};
use stageflow_events::EventKind;
use stageflow_interceptors::{Call, CallState, Ending, panic_message};

use super::start::FIRST;
use super::{Driver, at_least_one};
use crate::machine::{Input, Tick};
use crate::places::Polled;
use crate::sabotage::Fault;

impl Driver<'_> {
    /// Tells of the attempt's end, leaves the layers, writes down what they made of it, and tells the machine.
    pub(super) fn finish(&mut self, stage: u32, state: &mut CallState, mut ending: Ending) {
        // What the stage said while it ran comes before its end.
        self.hear();
        self.now = self.shared.now();
        // Layers that wait have kept it themselves, and may have answered in its place.
        if let Ending::Succeeded(value) = &ending
            && !self.waits(stage)
        {
            self.shared.keep_given(stage, value);
        }
        self.leave_layers(stage, state, &mut ending);
        let end = self.data.conclude(stage, ending, self.now);
        self.shared.let_go(stage);
        self.return_units(stage);
        self.machine.on(Input::Ended { stage, end }, self.now);
        // At once, so that nobody else's reason comes between the verdict and its own.
        self.signal_verdict(self.machine.verdict());
    }

    /// Leaves the layers around a stage whose value is in its slot. They may make something else of it.
    pub(super) fn leave(&mut self, stage: u32, state: &mut CallState) {
        let Some(value) = self.data.values[stage as usize].take() else {
            return;
        };
        self.shared.keep_given(stage, &value);
        let mut ending = Ending::Succeeded(value);
        let mut call = Call::new(&self.host, self.plan, StageIndex::new(stage), FIRST, state)
            .reading_slots(&self.data.values);
        self.stack(stage).exit(&mut call, &mut ending);
        match ending {
            Ending::Succeeded(value)
                if value.type_id_of_value() == self.plan.value_type(stage as usize) =>
            {
                self.data.values[stage as usize] = Some(value);
                self.data.records[stage as usize].outcome = Some(Outcome::Succeeded);
                self.machine.succeeded(stage, self.now);
            }
            ending => {
                self.data.records[stage as usize].told = Some(Outcome::Succeeded);
                let end = self.data.conclude(stage, ending, self.now);
                self.machine.on(Input::Ended { stage, end }, self.now);
            }
        }
    }

    pub(super) fn leave_layers(&mut self, stage: u32, state: &mut CallState, ending: &mut Ending) {
        // Layers that wait have told of each attempt themselves.
        if !self.waits(stage) {
            self.data.attempt_ended(stage, ending, self.now);
        }
        self.leave_hooks(stage, state, ending);
    }

    pub(super) fn leave_hooks(&mut self, stage: u32, state: &mut CallState, ending: &mut Ending) {
        if state.is_entered() {
            let mut call = Call::new(&self.host, self.plan, StageIndex::new(stage), FIRST, state)
                .reading_slots(&self.data.values);
            self.stack(stage).exit(&mut call, ending);
        }
    }

    /// The attempt gave its value, which is in its slot: the way most attempts end.
    #[inline]
    pub(super) fn tell_succeeded(&mut self, stage: u32, since: Tick) {
        self.hear();
        self.now = self.shared.now();
        self.note_blocking(stage, since);
        self.data.records[stage as usize].ended = self.now;
        self.data
            .end_operations_of(StageIndex::new(stage), self.now);
        if self.shared.engine.saboteur.strikes(Fault::ForgetEnd) {
            return;
        }
        self.data
            .events
            .push_with(self.now, || EventKind::StageEnded {
                stage: StageIndex::new(stage),
                attempt: 1,
                outcome: Outcome::Succeeded,
                error: None,
            });
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
                panic_message(payload),
            )),
            Polled::Admitted(_) | Polled::Gone => Ending::Interrupted(self.reason()),
        }
    }
}
