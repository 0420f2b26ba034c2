//! Events, one after the other, and what they make of the undoing.

use stageflow_context::{Outcome, RunId, StageIndex, StageName};

use super::{UndoPlan, UndoState, UndoStep};
use crate::EventKind;

/// A stage that did its work, and what has become of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doing {
    /// The stage.
    pub stage: StageIndex,
    /// How far its undoing has come.
    pub state: UndoState,
    /// How many attempts to undo it were started.
    pub attempts: u32,
}

/// How far a run has come with what can be undone, while it goes on. Kept by engines, event by event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doings {
    list: Vec<Doing>,
    ended: bool,
}

impl Doings {
    /// Nothing was done yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event of the run; `has_undo` says which stages can be undone.
    pub fn observe(&mut self, kind: &EventKind, has_undo: impl FnOnce(StageIndex) -> bool) {
        match kind {
            // Only a stage that is called again can be in the list.
            EventKind::StageStarted { stage, attempt } if *attempt > 1 => {
                self.list.retain(|doing| doing.stage != *stage);
            }
            EventKind::StageEnded {
                stage,
                outcome: Outcome::Succeeded,
                ..
            } if has_undo(*stage) => self.list.push(Doing {
                stage: *stage,
                state: UndoState::Done,
                attempts: 0,
            }),
            EventKind::UndoStarted { stage, attempt } => {
                self.set(*stage, *attempt, UndoState::Undoing);
            }
            EventKind::UndoEnded(ended) => self.set(ended.stage, ended.attempt, ended.state),
            EventKind::RunEnded { .. } => self.ended = true,
            _ => {}
        }
    }

    fn set(&mut self, stage: StageIndex, attempts: u32, state: UndoState) {
        // Undoing goes from the end to the start.
        let found = self
            .list
            .iter_mut()
            .rev()
            .find(|doing| doing.stage == stage);
        if let Some(doing) = found {
            (doing.attempts, doing.state) = (attempts, state);
        }
    }

    /// The stages that did their work, in the order in which they did.
    #[must_use]
    pub fn list(&self) -> &[Doing] {
        &self.list
    }

    /// The same with names, as plain data.
    #[must_use]
    pub fn plan(&self, run: RunId, names: &[StageName]) -> UndoPlan {
        let step = |doing: &Doing| UndoStep {
            stage: names
                .get(doing.stage.as_usize())
                .map_or_else(String::new, ToString::to_string),
            state: doing.state,
            attempts: doing.attempts,
        };
        UndoPlan {
            run_id: run.to_string(),
            steps: self.list.iter().map(step).collect(),
            ended: self.ended,
        }
    }
}
