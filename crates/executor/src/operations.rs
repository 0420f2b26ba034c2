//! The operations of a run that go on. What is told of them is a sound story, whatever those who do them do: each has one
//! end, inside the attempt, the part and the operation that it belongs to.

use std::collections::BTreeMap;

use stageflow_context::{OperationEnd, Outcome, Part, StageIndex};
use stageflow_events::{EventKind, OperationEnded, OperationStarted};

use crate::data::RunData;
use crate::machine::Tick;
use crate::sabotage::Fault;

/// Those that were told to have started, and not yet to have ended.
pub(crate) type OpenOperations = BTreeMap<u32, Box<OperationStarted>>;

impl RunData {
    /// An operation starts. One that comes when its attempt is over, from a cleanup or from what the stage has left behind,
    /// belongs to the run alone.
    pub(crate) fn operation_started(&mut self, mut call: Box<OperationStarted>, at: Tick) {
        if !self.is_in_time(&call) {
            call.attempt = 0;
        }
        // What has ended is around nothing.
        call.within = call
            .within
            .filter(|outer| call.attempt > 0 && self.operations.contains_key(outer));
        self.operations.insert(call.number, call.clone());
        self.events.push(at, EventKind::OperationStarted(call));
    }

    fn is_in_time(&self, call: &OperationStarted) -> bool {
        let record = &self.records[call.stage.as_usize()];
        let outermost = std::iter::successors(call.part.as_ref(), |part| part.within()).last();
        let attempt = outermost.map_or(call.attempt, |part| part.during().get());
        record.attempts == attempt && record.told.is_none() && record.outcome.is_none()
    }

    /// An operation has ended, unless that was told already.
    pub(crate) fn operation_ended(&mut self, number: u32, end: OperationEnd, at: Tick) {
        if self.operations.contains_key(&number) {
            let inside = |this: &Self, call: &OperationStarted| this.is_inside(call, number);
            self.leave_behind(inside, at);
            self.tell_operation_ended(number, end, at);
        }
    }

    /// Whether one operation lies in another one.
    fn is_inside(&self, call: &OperationStarted, outer: u32) -> bool {
        let outwards = std::iter::successors(call.within, |number| {
            self.operations.get(number).and_then(|call| call.within)
        });
        outwards.into_iter().any(|number| number == outer)
    }

    /// An attempt of a stage is about to end, and everything in it.
    #[inline]
    pub(crate) fn end_operations_of(&mut self, stage: StageIndex, at: Tick) {
        if !self.operations.is_empty() {
            self.leave_behind(|_, call| call.stage == stage && call.attempt > 0, at);
        }
    }

    /// An attempt of a part of a stage is about to end, and everything in it.
    pub(crate) fn end_operations_in(&mut self, stage: StageIndex, part: &Part, at: Tick) {
        if !self.operations.is_empty() {
            let inside = |_: &Self, call: &OperationStarted| {
                let mut outwards =
                    std::iter::successors(call.part.as_ref(), |place| place.within());
                call.stage == stage && call.attempt > 0 && outwards.any(|place| **place == *part)
            };
            self.leave_behind(inside, at);
        }
    }

    /// The run is about to end.
    pub(crate) fn end_all_operations(&mut self, at: Tick) {
        self.leave_behind(|_, _| true, at);
    }

    /// Tells the end of these operations, those that started last first: nobody waits for them any more.
    #[cold]
    fn leave_behind(&mut self, which: impl Fn(&Self, &OperationStarted) -> bool, at: Tick) {
        let left = self.operations.values().filter(|call| which(self, call));
        let left: Vec<u32> = left.map(|call| call.number).collect();
        for number in left.into_iter().rev() {
            let error = "what it belongs to ended before it did";
            let end = OperationEnd::new(Outcome::Cancelled, Some(error.into()));
            self.tell_operation_ended(number, end, at);
        }
    }

    fn tell_operation_ended(&mut self, number: u32, end: OperationEnd, at: Tick) {
        let Some(call) = self.operations.remove(&number) else {
            return;
        };
        let saboteur = &self.shared.engine.saboteur;
        if !saboteur.strikes(Fault::ForgetOperationEnd) {
            let ended = Box::new(OperationEnded::new(*call, end));
            self.events.push(at, EventKind::OperationEnded(ended));
        }
    }
}
