//! What became of an undo.

use stageflow_context::{Outcome, StageIndex};
use stageflow_events::{UndoEnded, UndoState};

/// What became of the undo of one stage: see [`RunReport::undos`](crate::RunReport::undos).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndoReport {
    /// The stage.
    pub stage: StageIndex,
    /// How the last attempt ended: [`Outcome::Succeeded`]; [`Outcome::Skipped`] if it found nothing to undo;
    /// [`Outcome::Failed`], also after a panic; [`Outcome::TimedOut`], also if there was no time left to start it.
    pub outcome: Outcome,
    /// How many attempts were started.
    pub attempts: u32,
    /// What went wrong in the last attempt, if something did.
    pub error: Option<String>,
}

impl UndoReport {
    pub(super) fn of(ended: &UndoEnded) -> Self {
        Self {
            stage: ended.stage,
            outcome: ended.outcome,
            attempts: ended.attempt,
            error: ended.error.clone(),
        }
    }

    /// Whether what the stage did is undone.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        self.error.is_none()
    }

    /// How far its undoing has come, as the run's [`UndoPlan`](stageflow_events::UndoPlan) says it.
    #[must_use]
    pub fn state(&self) -> UndoState {
        if self.is_undone() {
            UndoState::Undone
        } else {
            UndoState::Failed
        }
    }
}
