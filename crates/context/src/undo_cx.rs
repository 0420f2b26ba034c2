//! What an undo is handed.

use std::fmt;
use std::num::NonZeroU32;

use crate::{CancelReason, ContextSnapshot, RunId, RunIdentity, StageCx, StageName};

/// An undo's view of the run that it belongs to: owned and cheap to clone, like a [`StageCx`].
///
/// The run has been told to stop, or has failed: that is why there is something to undo. An undo is neither stopped by that
/// nor bound by the run's deadline; it has a limit of its own.
#[derive(Clone)]
pub struct UndoCx {
    cx: StageCx,
    attempt: NonZeroU32,
}

impl UndoCx {
    /// The `attempt`th try to undo what the stage at `cx` did. Called by engines and test harnesses.
    #[must_use]
    pub fn new(cx: StageCx, attempt: NonZeroU32) -> Self {
        Self { cx, attempt }
    }

    /// The same for every try to undo this stage in this run, and for nothing else: what to give to whoever must not undo it
    /// twice. It is made of the run's id and the stage's name, so that it outlives the process.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.run_id(), self.stage())
    }

    /// Which try to undo it this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.attempt
    }

    /// The name of the stage that is undone.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        self.cx.stage()
    }

    /// Why the run was told to stop, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<&CancelReason> {
        self.cx.cancel_reason()
    }

    /// Who and which run.
    #[must_use]
    pub fn identity(&self) -> &RunIdentity {
        self.cx.identity()
    }

    /// Which run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.cx.run_id()
    }

    /// What was known when the run started.
    #[must_use]
    pub fn snapshot(&self) -> &ContextSnapshot {
        self.cx.snapshot()
    }

    /// The context of the stage, as a cleanup of its has it: its attempt is over, and its run was told to stop.
    #[must_use]
    pub fn cx(&self) -> &StageCx {
        &self.cx
    }
}

impl fmt::Debug for UndoCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndoCx")
            .field("run", &self.run_id())
            .field("stage", self.stage())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
