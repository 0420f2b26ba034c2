//! What engines say of undoing.

use std::time::Duration;

use crate::{EngineBuilder, UndoAfter};

/// How an engine undoes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UndoSettings {
    pub(crate) budget: Duration,
    pub(crate) after: UndoAfter,
}

impl Default for UndoSettings {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(30),
            after: UndoAfter::default(),
        }
    }
}

impl EngineBuilder {
    /// How long all undos of a run together may take; 30 s if nothing is said. What could not be undone by then is in the
    /// report. Cleanups come after, in a time of their own.
    pub fn undo_budget(mut self, budget: Duration) -> Self {
        self.undo.budget = budget;
        self
    }

    /// After which endings of a run what its stages did is undone, if its options do not say; after all but success if nothing
    /// is said.
    pub fn undo_after(mut self, endings: UndoAfter) -> Self {
        self.undo.after = endings;
        self
    }
}
