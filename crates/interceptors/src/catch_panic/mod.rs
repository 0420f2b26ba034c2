//! What a panic of a stage amounts to.

use stageflow_context::{ErrorClass, StageErrorKind};

use crate::{Call, Ending, Flow, Hook, Phase};

/// Says whether a panic of a stage is worth another attempt. The engine keeps a panic from harming anything else in any
/// case; without this layer it is a permanent failure.
///
/// ```
/// use stageflow_interceptors::{CatchPanic, Stack};
///
/// let stack = Stack::new().with(CatchPanic::transient());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchPanic(ErrorClass);

impl CatchPanic {
    /// A panic is a permanent failure.
    #[must_use]
    pub const fn permanent() -> Self {
        Self(ErrorClass::Permanent)
    }

    /// A panic is a transient failure: layers that retry may try again.
    #[must_use]
    pub const fn transient() -> Self {
        Self(ErrorClass::Transient)
    }
}

impl Hook for CatchPanic {
    fn name(&self) -> &str {
        "catch-panic"
    }

    fn phase(&self) -> Phase {
        Phase::Inner
    }

    fn enter(&self, _call: &mut Call<'_>) -> Flow {
        Flow::Guard
    }

    fn exit(&self, _call: &mut Call<'_>, ending: &mut Ending) {
        if let Ending::Failed(error) = ending
            && let StageErrorKind::Panicked(class) = error.kind()
            && *class != self.0
        {
            *ending = Ending::Failed(error.with_class(self.0));
        }
    }
}
