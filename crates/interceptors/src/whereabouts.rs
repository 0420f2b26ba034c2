//! Where a call waits.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Stack;

/// Where a call waits: in a layer, or in the stage itself. Kept by engines beside the call, so that it is still known when
/// the call was dropped: see [`Call::follow`](crate::Call::follow).
#[derive(Debug, Default)]
pub struct Whereabouts(AtomicU32);

impl Whereabouts {
    /// Of a call that has not set out.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The layer the call waits in, or waited in when it was dropped; `None` if that is the stage.
    #[must_use]
    pub fn layer<'s>(&self, stack: &'s Stack) -> Option<&'s str> {
        // Written and read by one task at a time; whoever hands it on synchronises.
        let at = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        stack.name_at(at as usize)
    }

    /// The call has come to the layer at this place.
    pub(crate) fn in_layer(&self, place: usize) {
        self.0.store(place as u32 + 1, Ordering::Relaxed);
    }

    /// The call has come to the stage.
    pub(crate) fn in_stage(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
