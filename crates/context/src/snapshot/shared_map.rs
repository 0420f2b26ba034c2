//! A sorted map whose clones share everything, and which allocates nothing while it is empty.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub(super) struct SharedMap<V>(Option<Arc<BTreeMap<Arc<str>, Arc<V>>>>);

impl<V> SharedMap<V> {
    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.0.as_ref()?.get(key).map(|value| &**value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0
            .iter()
            .flat_map(|map| map.iter())
            .map(|(key, value)| (&**key, &**value))
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |map| map.len())
    }

    /// Copies the pointers of a map that others hold too, never a value.
    pub(super) fn insert(&mut self, key: Arc<str>, value: V) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(key, Arc::new(value));
    }
}

impl<V> Clone for SharedMap<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for SharedMap<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V: PartialEq> PartialEq for SharedMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<V: fmt::Debug> fmt::Debug for SharedMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
