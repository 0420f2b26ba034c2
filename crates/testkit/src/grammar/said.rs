//! What stages say while they run.

use super::{EventGrammar, Rule};

impl EventGrammar {
    /// A stage may hand its context to others, who go on talking; but nobody talks before it starts.
    pub(super) fn note(&mut self, index: usize, attempt: u32) {
        if self
            .stages
            .get(&index)
            .is_none_or(|stage| stage.attempt < attempt)
        {
            self.broken(
                Rule::StartBeforeEnd,
                "it was said before its attempt started",
            );
        }
    }

    /// It is the whole call that held the thread, so its attempt may be over, or the next one not yet begun.
    pub(super) fn blocking(&mut self, index: usize) {
        if self
            .stages
            .get(&index)
            .is_none_or(|stage| stage.attempt == 0)
        {
            self.broken(Rule::StartBeforeEnd, "the stage had not started");
        }
    }

    /// Something is wrong, if there is a complaint.
    pub(super) fn complain(&mut self, complaint: Option<(Rule, &'static str)>) {
        if let Some((rule, detail)) = complaint {
            self.broken(rule, detail);
        }
    }
}
