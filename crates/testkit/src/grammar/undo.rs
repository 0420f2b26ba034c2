//! What is undone at the end of a run, and in which order.

use stageflow_context::Outcome;
use stageflow_events::{EventKind, UndoEnded, UndoState};
use stageflow_graph::Plan;

use super::{EventGrammar, Rule};

/// What was done and what is undone of it.
#[derive(Debug, Default)]
pub(super) struct Undos {
    /// Which stages have an undo; `None` if the plan is not known.
    has: Option<Vec<bool>>,
    /// The stages whose last attempt succeeded, in the order in which it did.
    done: Vec<usize>,
    /// Where in that list the undoing has come to.
    at: Option<usize>,
    /// Which attempt to undo it is under way, or was the last one.
    attempt: u32,
    is_open: bool,
    /// Whether the undoing of that stage is over.
    is_over: bool,
}

impl Undos {
    pub(super) fn of_plan(plan: &Plan) -> Self {
        let has = (0..plan.len()).map(|stage| plan.undo(stage).is_some());
        Self {
            has: Some(has.collect()),
            ..Self::default()
        }
    }

    fn may_have(&self, stage: usize) -> bool {
        let has = self.has.as_ref();
        has.is_none_or(|has| has.get(stage).copied().unwrap_or(false))
    }

    fn took_place(&mut self, kind: &EventKind) -> Option<&'static str> {
        let begun = self.at.is_some();
        match kind {
            EventKind::StageStarted { stage, .. } => {
                self.done.retain(|done| *done != stage.as_usize());
                begun.then_some("a stage starts after undoing has begun")
            }
            EventKind::StageEnded { stage, outcome, .. } => {
                if *outcome == Outcome::Succeeded && self.may_have(stage.as_usize()) {
                    self.done.push(stage.as_usize());
                }
                begun.then_some("a stage ends after undoing has begun")
            }
            EventKind::UndoStarted { stage, attempt } => self.started(stage.as_usize(), *attempt),
            EventKind::UndoEnded(ended) => self.ended(ended),
            EventKind::CleanupEnded(_) if self.is_open => Some("a cleanup ends before the undo"),
            EventKind::RunEnded { outcome, .. } => self.run_ended(*outcome),
            _ => None,
        }
    }

    /// The next stage to undo; or the same one, as long as its undoing is not over.
    fn goes_to(&mut self, stage: usize) -> Option<&'static str> {
        if self.at.and_then(|at| self.done.get(at)) == Some(&stage) && !self.is_over {
            return None;
        }
        let is_over = self.at.is_none() || self.is_over;
        let place = self.done.iter().rposition(|done| *done == stage);
        let Some(place) = place else {
            return Some("the stage did nothing that could be undone");
        };
        let before = self.at.unwrap_or(self.done.len());
        // Without the plan some of those in between may have no undo.
        let next = match self.has {
            Some(_) => place + 1 == before,
            None => place < before,
        };
        (self.at, self.attempt, self.is_over) = (Some(place), 0, false);
        (!next || !is_over).then_some("the last one that is done is undone first")
    }

    fn started(&mut self, stage: usize, attempt: u32) -> Option<&'static str> {
        let order = self.goes_to(stage);
        let (was_open, expected) = (self.is_open, self.attempt + 1);
        (self.is_open, self.attempt) = (true, attempt);
        order
            .or_else(|| was_open.then_some("the undo before it has not ended"))
            .or_else(|| (attempt != expected).then_some("attempts to undo are numbered from 1"))
    }

    fn ended(&mut self, ended: &UndoEnded) -> Option<&'static str> {
        // No time was left to start it, be it for the first time or once more.
        let never_started = !self.is_open && ended.state == UndoState::Failed;
        let order = self.goes_to(ended.stage.as_usize());
        let fits = (self.is_open || never_started) && ended.attempt == self.attempt;
        self.is_open = false;
        self.is_over = ended.state != UndoState::Undoing;
        order.or_else(|| (!fits).then_some("there is no start that it could be the end of"))
    }

    fn run_ended(&self, outcome: Outcome) -> Option<&'static str> {
        let at = self.at?;
        if matches!(outcome, Outcome::Succeeded | Outcome::Skipped) {
            return Some("nothing is undone if nothing went wrong");
        }
        let is_left = self.is_open || !self.is_over || (self.has.is_some() && at > 0);
        is_left.then_some("the run ends before everything is undone")
    }
}

impl EventGrammar {
    pub(super) fn undoing(&mut self, kind: &EventKind) {
        let begun = self.undos.at.is_some();
        if let Some(detail) = self.undos.took_place(kind) {
            self.broken(Rule::UndoneBackwards, detail);
        }
        let begins = !begun && self.undos.at.is_some();
        if begins && self.cleaning {
            self.broken(Rule::UndoneBackwards, "a cleanup had ended");
        }
        if begins && self.stages.values().any(|stage| stage.is_open) {
            self.broken(Rule::UndoneBackwards, "a stage has not ended");
        }
    }
}
