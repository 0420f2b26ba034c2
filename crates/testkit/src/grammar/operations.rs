//! What is known of the operations of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use stageflow_context::Part;
use stageflow_events::OperationStarted;

use super::{EventGrammar, Rule};

/// Those that are open, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Operations {
    open: BTreeMap<u32, OperationStarted>,
    next: u32,
}

impl EventGrammar {
    pub(super) fn operation_started(&mut self, call: &OperationStarted) {
        let expected = self.operations.next;
        self.operations.next = call.number.saturating_add(1);
        if call.number < expected {
            self.broken(
                Rule::OperationsLieInside,
                "operations are numbered in the order of their starts",
            );
        }
        if !self.is_around(call) {
            self.broken(
                Rule::OperationsLieInside,
                "the attempt that it belongs to is not open",
            );
        }
        let outer = call.within.map(|outer| self.operations.open.get(&outer));
        if outer.is_some_and(|outer| outer.is_none()) {
            self.broken(
                Rule::OperationsLieInside,
                "the operation that it belongs to is not open",
            );
        }
        self.operations.open.insert(call.number, call.clone());
    }

    /// Whether the attempt is open that an operation belongs to. One that came after its attempt belongs to the run.
    fn is_around(&self, call: &OperationStarted) -> bool {
        let index = call.stage.as_usize();
        let stage = self.stages.get(&index);
        match &call.part {
            _ if call.attempt == 0 => stage.is_some(),
            // A part may hand its context to others in its stage.
            Some(part) => {
                self.parts.knows(index, part, call.attempt)
                    && stage.is_some_and(|stage| stage.is_open)
            }
            None => stage.is_some_and(|stage| stage.is_open && stage.attempt == call.attempt),
        }
    }

    pub(super) fn operation_ended(&mut self, call: &OperationStarted) {
        let open = self.operations.open.remove(&call.number);
        let same = open.is_some_and(|open| {
            (open.stage, open.attempt, &open.part) == (call.stage, call.attempt, &call.part)
        });
        if !same {
            self.broken(
                Rule::OperationsLieInside,
                "there is no start of the operation that it could be the end of",
            );
        }
        let inside = |inner: &OperationStarted| inner.within == Some(call.number);
        if self.operations.open.values().any(inside) {
            self.broken(
                Rule::OperationsLieInside,
                "an operation inside it is still open",
            );
        }
    }

    /// An attempt of a stage has ended, or of a part of it.
    pub(super) fn no_operation_in(&mut self, index: usize, part: Option<&Arc<Part>>) {
        let inside = |call: &OperationStarted| {
            let mut outwards = std::iter::successors(call.part.as_ref(), |part| part.within());
            call.stage.as_usize() == index
                && call.attempt > 0
                && part.is_none_or(|part| outwards.any(|place| place == part))
        };
        if self.operations.open.values().any(inside) {
            self.broken(
                Rule::OperationsLieInside,
                "an operation inside it is still open",
            );
        }
    }

    pub(super) fn no_operation_is_left(&mut self) {
        if !self.operations.open.is_empty() {
            self.broken(Rule::OperationsLieInside, "an operation has not ended");
        }
    }
}
