//! What is told of undoing, and how far it has come.

mod error;
mod fold;
mod plan;

use std::fmt;

use serde::{Deserialize, Serialize};
use stageflow_context::{Outcome, StageIndex};

pub use error::{UndoPlanError, UndoPlanErrorKind};
pub use fold::{Doing, Doings};
pub use plan::{UndoPlan, UndoStep};

/// How far the undoing of one stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum UndoState {
    /// The stage did its work, and that stands.
    Done,
    /// It could not be undone: every attempt failed, or there was no time left for one.
    Failed,
    /// It is being undone: an attempt is under way, or there will be another.
    Undoing,
    /// It is undone.
    Undone,
}

impl UndoState {
    /// In lower case, as records spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }

    /// The state that is spelled like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Done, Self::Failed, Self::Undoing, Self::Undone]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl fmt::Display for UndoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an attempt to undo a stage ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndoEnded {
    /// The stage that is undone.
    pub stage: StageIndex,
    /// Which attempt to undo it, from 1; 0 if there was no time left for any.
    pub attempt: u32,
    /// [`Outcome::Succeeded`], [`Outcome::Skipped`] if it found nothing to undo, [`Outcome::Failed`] or
    /// [`Outcome::TimedOut`].
    pub outcome: Outcome,
    /// How far the undoing of the stage has come with that.
    pub state: UndoState,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

impl UndoEnded {
    /// The `attempt`th attempt to undo `stage` ended like this.
    #[must_use]
    pub fn new(
        stage: StageIndex,
        attempt: u32,
        outcome: Outcome,
        state: UndoState,
        error: Option<String>,
    ) -> Self {
        Self {
            stage,
            attempt,
            outcome,
            state,
            error,
        }
    }
}
