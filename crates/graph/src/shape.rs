//! What a stage is made of, as far as others can see.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

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
    },
    /// A part of it is called for each of many items.
    Map {
        /// How many at a time.
        width: NonZeroUsize,
    },
    /// It runs another pipeline, as a run of its own.
    Pipeline(Arc<Plan>),
    /// One piece of work.
    #[default]
    Plain,
}

impl Shape {
    /// Whether the engine's layers are put around its parts, not around the stage as a whole.
    #[must_use]
    pub fn is_called_in_parts(&self) -> bool {
        matches!(self, Self::Approval | Self::Loop { .. } | Self::Map { .. })
    }
}
