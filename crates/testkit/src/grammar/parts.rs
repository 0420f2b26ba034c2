//! What is known of the parts of a run's stages.

use super::EventGrammar;
use std::collections::HashMap;
use std::sync::Arc;

use stageflow_context::Part;

use super::Rule;

/// The parts that were heard of, and what they may not do.
#[derive(Debug, Default)]
pub(super) struct Parts {
    states: HashMap<(usize, Arc<Part>), State>,
    /// How many are open inside a part, or inside a stage.
    open: HashMap<(usize, Option<Arc<Part>>), i64>,
}

#[derive(Debug, Default)]
struct State {
    attempt: u32,
    is_open: bool,
    answered: bool,
}

/// What is wrong, if something is.
type Complaint = Option<(Rule, &'static str)>;

impl Parts {
    /// An attempt starts. A part that was answered, or ended, may be called once more: in the next attempt of its stage.
    pub(super) fn started(&mut self, stage: usize, part: &Arc<Part>, attempt: u32) -> Complaint {
        if let Some(within) = part.within()
            && self
                .states
                .get(&(stage, Arc::clone(within)))
                .is_some_and(|outer| !outer.is_open)
        {
            return Some((Rule::PartsLieInside, "the part it is in is not open"));
        }
        let state = self.states.entry((stage, Arc::clone(part))).or_default();
        let was_open = std::mem::replace(&mut state.is_open, true);
        let (before, answered) = (state.attempt, state.answered);
        state.attempt = attempt;
        state.answered = false;
        if !was_open {
            self.count(stage, part, 1);
        }
        if was_open {
            return Some((
                Rule::OneAttemptAtATime,
                "the attempt of the part before is still open",
            ));
        }
        let again = attempt == 1;
        (attempt != before + 1 && !again).then_some((
            Rule::AttemptsCount,
            if answered {
                "its call had ended"
            } else {
                "another attempt of the part was expected"
            },
        ))
    }

    /// An attempt ends.
    pub(super) fn ended(&mut self, stage: usize, part: &Arc<Part>, attempt: u32) -> Complaint {
        let inside = self.open.get(&(stage, Some(Arc::clone(part))));
        if inside.is_some_and(|open| *open > 0) {
            return Some((Rule::PartsLieInside, "a part inside it is still open"));
        }
        let state = self.states.entry((stage, Arc::clone(part))).or_default();
        let open = std::mem::replace(&mut state.is_open, false);
        let other = state.attempt != attempt;
        if open {
            self.count(stage, part, -1);
        }
        (!open || other).then_some((
            Rule::StartBeforeEnd,
            "there is no start of the part that it could be the end of",
        ))
    }

    /// A layer answered in its place.
    pub(super) fn answered(&mut self, stage: usize, part: &Arc<Part>) -> Complaint {
        let state = self.states.entry((stage, Arc::clone(part))).or_default();
        let twice = std::mem::replace(&mut state.answered, true);
        (state.is_open || twice).then_some((
            Rule::EndsAreLast,
            "the attempt of the part is open, or it was answered already",
        ))
    }

    /// A note of this attempt of a part: nobody talks before it starts.
    pub(super) fn knows(&self, stage: usize, part: &Arc<Part>, attempt: u32) -> bool {
        self.states
            .get(&(stage, Arc::clone(part)))
            .is_some_and(|state| state.attempt >= attempt)
    }

    /// Whether a part of the stage is open.
    pub(super) fn has_open(&self, stage: usize) -> bool {
        self.open.get(&(stage, None)).is_some_and(|open| *open > 0)
    }

    /// Counts an open part in everything it is in: the parts around it, and the stage.
    fn count(&mut self, stage: usize, part: &Arc<Part>, by: i64) {
        let mut around = part.within();
        loop {
            *self.open.entry((stage, around.cloned())).or_default() += by;
            let Some(part) = around else { return };
            around = part.within();
        }
    }
}

impl EventGrammar {
    pub(super) fn part_started(&mut self, index: usize, part: &Arc<Part>, attempt: u32) {
        if !self.stages.get(&index).is_some_and(|stage| stage.is_open) {
            self.broken(Rule::PartsLieInside, "its stage is not open");
        }
        let complaint = self.parts.started(index, part, attempt);
        self.complain(complaint);
    }

    pub(super) fn part_note(&mut self, index: usize, part: &Arc<Part>, attempt: u32) {
        if !self.parts.knows(index, part, attempt) {
            self.broken(
                Rule::StartBeforeEnd,
                "it was said before the attempt of its part started",
            );
        }
    }
}
