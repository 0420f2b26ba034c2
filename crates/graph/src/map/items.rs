//! What a map can go over.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Items of type `T`: what a [`map`](crate::map) takes, for a stage whose input is a `T`.
///
/// | the map is wired to | the items can arrive as |
/// |---|---|
/// | `Handle<Vec<T>>` | `T`, if it is `Clone`: cheap if it is an `Arc` or a number |
/// | | [`Item<T>`], a handle that derefs to the item; nothing is cloned |
/// | | `Arc<T>`, if `T` is `Clone`; each item is cloned once for each attempt |
/// | `Vec<Handle<T>>` | `Arc<T>` |
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no items that arrive as `{T}`",
    label = "the stage in this map takes `{T}`, and it goes over `{Self}`",
    note = "a map goes over `Vec<Arc<T>>` with a stage that takes `Arc<T>`, and over any `Vec<T>` with one that takes `Item<T>`; if `T` is `Clone`, `T` and `Arc<T>` work, too"
)]
pub trait Items<T>: Send + Sync + 'static {
    /// How many there are.
    fn count(&self) -> usize;

    /// The item at this place, below [`Items::count`].
    fn item(&self, index: usize) -> T;
}

impl<T: Clone + Send + Sync + 'static> Items<T> for Arc<Vec<T>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn item(&self, index: usize) -> T {
        self[index].clone()
    }
}

impl<T: Clone + Send + Sync + 'static> Items<Arc<T>> for Arc<Vec<T>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn item(&self, index: usize) -> Arc<T> {
        Arc::new(self[index].clone())
    }
}

impl<T: Send + Sync + 'static> Items<Item<T>> for Arc<Vec<T>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn item(&self, index: usize) -> Item<T> {
        Item {
            items: Self::clone(self),
            index,
        }
    }
}

impl<T: Send + Sync + 'static> Items<Arc<T>> for Vec<Arc<T>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn item(&self, index: usize) -> Arc<T> {
        Arc::clone(&self[index])
    }
}

/// One of many items, where it lies: derefs to the item, and keeps all of them alive.
pub struct Item<T> {
    items: Arc<Vec<T>>,
    index: usize,
}

impl<T> Item<T> {
    /// Its place among the items, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.items[self.index]
    }
}

impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        Self {
            items: Arc::clone(&self.items),
            index: self.index,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
