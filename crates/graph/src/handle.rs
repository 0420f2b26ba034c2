//! Typed references to what a stage will give.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stands for the value that a stage, or the pipeline's input, will give. `Copy`, and good for one pipeline only.
///
/// A handle exists only after its stage was wired, so a cycle of handles cannot be written.
pub struct Handle<T> {
    pub(crate) draft: DraftId,
    pub(crate) node: u32,
    value: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    pub(crate) const fn new(draft: DraftId, node: u32) -> Self {
        Self {
            draft,
            node,
            value: PhantomData,
        }
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle<{}>(#{})", std::any::type_name::<T>(), self.node)
    }
}

/// Tells the handles of one builder from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DraftId(u64);

impl DraftId {
    /// An id that no other builder of this process has. The counter is the one piece of global state in the workspace:
    /// it is never read back, and nothing depends on its value but equality.
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
