//! Stageflow in the table: how each measured thing is done with the public API.

use crate::subject::{Mode, Subject};

/// Stageflow in one mode.
pub(crate) struct Stageflow {
    #[expect(dead_code, reason = "the engine will be built from it")]
    mode: Mode,
}

impl Stageflow {
    /// As the columns "B" and "D" have it.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode }
    }
}

/// What is not here yet has a dash in the table.
impl Subject for Stageflow {}
