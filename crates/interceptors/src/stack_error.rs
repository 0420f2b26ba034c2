//! Layers that cannot stand together.

use crate::{Layer, On};

/// Layers that cannot stand together: an engine with them is not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}; {}", self.code(), self.help())]
pub struct StackError {
    kind: StackErrorKind,
    what: String,
}

/// Why layers cannot stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StackErrorKind {
    /// A layer decides what somebody may do, and nobody finds out who it is.
    NobodyAsks,
    /// A layer must be outside all others, and another one is outside it.
    NotOutermost,
    /// A layer of which there may be only one is there twice.
    Twice,
}

impl StackError {
    pub(crate) fn twice(layer: &Layer, on: &On) -> Self {
        Self {
            kind: StackErrorKind::Twice,
            what: format!(
                "layer `{}` is there twice around {on}, which has room for one",
                layer.name()
            ),
        }
    }

    pub(crate) fn not_outermost(layer: &Layer, other: &Layer) -> Self {
        let (name, phase) = (other.name(), other.phase());
        Self {
            kind: StackErrorKind::NotOutermost,
            what: format!(
                "layer `{}` [{}] is not outside `{name}` [{phase}], and must be outside all others",
                layer.name(),
                layer.phase(),
            ),
        }
    }

    /// `decider` decides, and no admission proves who asks. Called by engines.
    #[must_use]
    pub fn nobody_asks(decider: &str) -> Self {
        Self {
            kind: StackErrorKind::NobodyAsks,
            what: format!(
                "layer `{decider}` decides what somebody may do without anybody who proves who it is"
            ),
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> StackErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            StackErrorKind::NobodyAsks => "SF0416",
            StackErrorKind::NotOutermost => "SF0411",
            StackErrorKind::Twice => "SF0412",
        }
    }

    fn help(&self) -> &'static str {
        match self.kind {
            StackErrorKind::NobodyAsks => {
                "give the engine an admission of the phase `security` with `.admit(..)`"
            }
            StackErrorKind::NotOutermost => {
                "give it the phase `security`, and register it before the others of that phase"
            }
            StackErrorKind::Twice => {
                "leave one out, or mean one of them for fewer stages with `intercept_on`"
            }
        }
    }
}
