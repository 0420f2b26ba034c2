//! What a stage is made of, as far as others can see.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::PartLimits;

use crate::Plan;

/// What a stage is made of, for drawings and engines. Said by [`Stage::shape`](crate::Stage::shape).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Shape {
    /// It waits for somebody to approve, edit or reject a value.
    Approval,
    /// Parts of it are called again and again.
    Loop {
        /// The most rounds there can be.
        at_most: NonZeroU32,
        /// How long all rounds together may take.
        within: Option<Duration>,
    },
    /// A part of it is called for each of many items.
    Map {
        /// How many at a time.
        width: NonZeroUsize,
        /// How long an attempt of an item may take.
        limits: PartLimits,
    },
    /// It runs another pipeline, as a run of its own.
    Pipeline(Arc<Plan>),
    /// One piece of work.
    #[default]
    Plain,
}

impl Shape {
    /// The time limits that hold for its parts.
    pub(crate) fn limits(&self) -> [Option<Duration>; 2] {
        match self {
            Self::Loop { within, .. } => [*within, None],
            Self::Map { limits, .. } => [limits.timeout, limits.idle_timeout],
            Self::Approval | Self::Pipeline(_) | Self::Plain => [None, None],
        }
    }

    /// Whether the engine's layers are put around its parts, not around the stage as a whole.
    #[inline]
    #[must_use]
    pub fn is_called_in_parts(&self) -> bool {
        matches!(self, Self::Approval | Self::Loop { .. } | Self::Map { .. })
    }
}
