//! Stages that held the thread of their run.

use std::time::Duration;

use stageflow_context::StageIndex;

/// A stage that held the thread for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocking {
    /// The stage.
    pub stage: StageIndex,
    /// For how long.
    pub held: Duration,
}
