//! A value whose type is known only to those who wrote it and those who read it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// An immutable, shared value of any type: what travels along an edge of a pipeline.
///
/// ```
/// use stageflow_context::DynValue;
///
/// let value = DynValue::new(String::from("hello"));
/// assert_eq!(value.downcast::<String>().as_deref(), Some(&String::from("hello")));
/// assert!(value.downcast::<u8>().is_none());
/// ```
#[derive(Clone)]
pub struct DynValue(Arc<dyn Any + Send + Sync>);

impl DynValue {
    /// Puts `value` behind a shared pointer.
    #[inline]
    pub fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// Wraps a value that is shared already.
    #[must_use]
    pub fn from_arc<T: Send + Sync + 'static>(value: Arc<T>) -> Self {
        Self(value)
    }

    /// The value as a `T`, or `None` if it is of another type.
    #[inline]
    #[must_use]
    pub fn downcast<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.0).downcast::<T>().ok()
    }

    /// The value as a borrowed `T`, or `None` if it is of another type.
    #[inline]
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        (*self.0).downcast_ref::<T>()
    }

    /// The id of the value's type.
    #[inline]
    #[must_use]
    pub fn type_id_of_value(&self) -> TypeId {
        (*self.0).type_id()
    }
}

impl fmt::Debug for DynValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynValue(..)")
    }
}
