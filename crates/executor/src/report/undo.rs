//! What became of undoing.

use stageflow_context::StageName;
use stageflow_events::UndoPlan;

use super::RunReport;
use crate::UndoReport;

impl<O> RunReport<O> {
    /// What became of the undos, in the order in which they ran: the last stage that did something first. Empty if the run
    /// succeeded, or if no stage with an undo had succeeded.
    #[must_use]
    pub fn undos(&self) -> &[UndoReport] {
        &self.data.undos
    }

    /// The stages that could not be undone: what they did still stands, and somebody has to look after it.
    pub fn not_undone(&self) -> impl Iterator<Item = &StageName> {
        let names = self.data.shared.plan.names();
        let failed = self.undos().iter().filter(|undo| !undo.is_undone());
        failed.map(|undo| &names[undo.stage.as_usize()])
    }

    /// Whether there was something to undo, and all of it was undone.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        !self.undos().is_empty() && self.undos().iter().all(UndoReport::is_undone)
    }

    /// How far the run has come with what can be undone, as plain data: what its records say, too. `None` if nothing in the
    /// pipeline has an undo.
    #[must_use]
    pub fn undo_plan(&self) -> Option<UndoPlan> {
        let doings = self.data.events.doings()?;
        Some(doings.plan(self.id(), self.data.shared.plan.names()))
    }
}
