//! What travels with a run beside its context: values of any type, found by their type.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Values that travel with a run, at most one of each type: who asks, as far as it was proved; what a request brought along.
/// They are not part of the snapshot, are never written down, and are handed on to the runs that the run starts.
///
/// ```
/// use stageflow_context::Attached;
///
/// #[derive(Debug, PartialEq)]
/// struct Region(&'static str);
///
/// let mut attached = Attached::new();
/// attached.insert(Region("eu"));
/// assert_eq!(attached.get::<Region>().as_deref(), Some(&Region("eu")));
/// assert!(attached.get::<String>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct Attached(Vec<(TypeId, Arc<dyn Any + Send + Sync>)>);

impl Attached {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds `value`, in the place of the one of its type if there is one.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let id = TypeId::of::<T>();
        self.0.retain(|(other, _)| *other != id);
        self.0.push((id, Arc::new(value)));
    }

    /// The value of this type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let id = TypeId::of::<T>();
        let (_, value) = self.0.iter().find(|(other, _)| *other == id)?;
        Arc::clone(value).downcast().ok()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Says how many there are, and nothing of what they are.
impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attached({})", self.0.len())
    }
}
