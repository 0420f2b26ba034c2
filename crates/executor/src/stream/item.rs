//! One thing that a run's stream tells.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stageflow_context::RunId;
use stageflow_events::EventKind;

/// One thing that a run's stream tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamItem {
    /// Its place in the stream, from 0. What was missed has its place, too: after a gap of three the number is three higher.
    pub seq: u64,
    /// How long after the start of the run whose stream it is. It never goes back.
    pub at: Duration,
    /// The run it comes from: the one whose stream it is, or one that a stage of it has started.
    pub run: RunId,
    /// Where it comes from, such as `answer/rerank[3]`; empty if it is about the whole run.
    pub path: Arc<str>,
    /// Which try of the stage it comes from, if it comes from one.
    pub attempt: Option<NonZeroU32>,
    /// What it is.
    pub kind: StreamKind,
}

/// What a run's stream tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamKind {
    /// A piece of what a stage is making.
    Chunk(Value),
    /// Something a stage says for those who look for a defect.
    Debug(Value),
    /// The reader was too slow: at this place so many items are missing.
    Lagged {
        /// How many.
        missed: NonZeroU64,
    },
    /// Something the engine says. Stages are numbers in it, of the pipeline whose run it is; the item's path has the name.
    Lifecycle(EventKind),
}

impl StreamItem {
    /// The piece, if a stage has streamed one.
    #[must_use]
    pub fn chunk(&self) -> Option<&Value> {
        match &self.kind {
            StreamKind::Chunk(value) => Some(value),
            StreamKind::Debug(_) | StreamKind::Lagged { .. } | StreamKind::Lifecycle(_) => None,
        }
    }

    /// The event, if the engine has said one.
    #[must_use]
    pub fn event(&self) -> Option<&EventKind> {
        match &self.kind {
            StreamKind::Lifecycle(event) => Some(event),
            StreamKind::Chunk(_) | StreamKind::Debug(_) | StreamKind::Lagged { .. } => None,
        }
    }

    /// How many items are missing at this place; zero for everything but a gap.
    #[must_use]
    pub fn missed(&self) -> u64 {
        match &self.kind {
            StreamKind::Lagged { missed } => missed.get(),
            StreamKind::Chunk(_) | StreamKind::Debug(_) | StreamKind::Lifecycle(_) => 0,
        }
    }
}
