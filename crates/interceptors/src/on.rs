//! Which stages a layer is meant for.

use std::fmt;
use std::sync::Arc;

use stageflow_graph::{Plan, StageKind};

/// Which stages a layer goes around.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct On(Which);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Which {
    Every,
    Kind(StageKind),
    Stage(Arc<str>),
}

impl On {
    /// All of them.
    #[must_use]
    pub const fn every_stage() -> Self {
        Self(Which::Every)
    }

    /// Those of this kind.
    #[must_use]
    pub const fn kind(kind: StageKind) -> Self {
        Self(Which::Kind(kind))
    }

    /// The stage with this name in any pipeline: `write`, or `search/rerank` for one of an embedded pipeline.
    pub fn stage(name: impl Into<Arc<str>>) -> Self {
        Self(Which::Stage(name.into()))
    }

    pub(crate) fn is_every(&self) -> bool {
        self.0 == Which::Every
    }

    /// How few stages it is meant for: the higher, the fewer.
    pub(crate) fn rank(&self) -> u8 {
        match self.0 {
            Which::Every => 0,
            Which::Kind(_) => 1,
            Which::Stage(_) => 2,
        }
    }

    pub(crate) fn covers(&self, plan: &Plan, stage: usize) -> bool {
        match &self.0 {
            Which::Every => true,
            Which::Kind(kind) => plan.options(stage).kind == *kind,
            Which::Stage(name) => plan.names()[stage].as_str() == &**name,
        }
    }

    /// Whether some stage may be meant by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Which::Kind(one), Which::Kind(other)) => one == other,
            (Which::Stage(one), Which::Stage(other)) => one == other,
            _ => true,
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Which::Every => f.write_str("every stage"),
            Which::Kind(kind) => write!(f, "stages of kind {kind}"),
            Which::Stage(name) => write!(f, "stage `{name}`"),
        }
    }
}
