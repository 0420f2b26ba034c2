//! What a run holds while it is in.

use std::any::Any;
use std::fmt;

/// What a run holds from its admission until it is over. Dropping it gives it back.
#[must_use = "a pass that is dropped is given back"]
pub struct Pass(Option<Box<dyn Any + Send + Sync>>);

impl Pass {
    /// Nothing is held.
    pub const fn free() -> Self {
        Self(None)
    }

    /// `guard` is dropped when the run is over.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_free() {
            "Pass(free)"
        } else {
            "Pass(holding)"
        })
    }
}
