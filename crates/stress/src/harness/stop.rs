//! A sign to stop, that anybody can set and everybody sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones are the same sign.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSign(Arc<AtomicBool>);

impl StopSign {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
