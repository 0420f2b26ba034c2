//! The engine's errors and reasons: its own words stay, what others have said goes through the rules.

use stageflow_context::{CancelReason, Part, StageError};

use super::{Redaction, Rules};

impl Redaction {
    /// The text of an error: the engine's words and the stage's name as they are, the cause without secrets.
    #[must_use]
    pub fn error(&self, error: &StageError) -> String {
        match self.0 {
            Rules::Off => error.to_string(),
            _ => error.text_with(&|text| self.text(text).into_owned(), &|place| {
                self.name(place).into_owned()
            }),
        }
    }

    /// The text of a reason to stop: the engine's words as they are, what people and stages have said without secrets.
    #[must_use]
    pub fn reason(&self, reason: &CancelReason) -> String {
        match self.0 {
            Rules::Off => reason.to_string(),
            _ => reason.text_with(&|text| self.text(text).into_owned()),
        }
    }

    /// The place inside a stage, as [`Redaction::name`] has it.
    #[must_use]
    pub fn part(&self, part: &Part) -> String {
        self.name(&part.to_string()).into_owned()
    }
}
