//! What a stage gave, as its undo takes it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What a stage gave, handed to its undo: immutable, shared, and dereferences to the value. Of an optional stage, too, it is
/// the value itself: a stage that gave none has nothing to undo.
///
/// ```
/// use stageflow_context::Given;
///
/// let receipt = Given::new(String::from("no. 7"));
/// assert!(receipt.ends_with('7'));
/// ```
pub struct Given<O>(Held<O>);

enum Held<O> {
    Plain(Arc<O>),
    /// There is a value in it: see [`Given::of_optional`].
    Optional(Arc<Option<O>>),
}

impl<O> Given<O> {
    /// A value: for tests of undos.
    pub fn new(value: O) -> Self {
        Self::of_arc(Arc::new(value))
    }

    /// A value that is shared already. Called by engines.
    #[must_use]
    pub fn of_arc(value: Arc<O>) -> Self {
        Self(Held::Plain(value))
    }

    /// The value of an optional stage; `None` if there is none. Called by engines.
    #[must_use]
    pub fn of_optional(value: Arc<Option<O>>) -> Option<Self> {
        value.is_some().then(|| Self(Held::Optional(value)))
    }
}

impl<O> Deref for Given<O> {
    type Target = O;

    fn deref(&self) -> &O {
        match &self.0 {
            Held::Plain(value) => value,
            Held::Optional(value) => match &**value {
                Some(value) => value,
                None => unreachable!("it was looked at when this was made"),
            },
        }
    }
}

impl<O> Clone for Given<O> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Held::Plain(value) => Held::Plain(Arc::clone(value)),
            Held::Optional(value) => Held::Optional(Arc::clone(value)),
        })
    }
}

impl<O: fmt::Debug> fmt::Debug for Given<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
