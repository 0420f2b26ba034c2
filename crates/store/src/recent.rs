//! A bounded table: what was not used for longest makes room.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was used lately, by key.
pub(crate) struct Recent<K, V> {
    most: usize,
    table: Mutex<Table<K, V>>,
}

struct Table<K, V> {
    entries: HashMap<K, (V, u64)>,
    uses: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        let (entries, uses) = (HashMap::new(), 0);
        Self {
            most,
            table: Mutex::new(Table { entries, uses }),
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<V> {
        let mut table = self.lock();
        table.uses += 1;
        let now = table.uses;
        let (value, used) = table.entries.get_mut(&key)?;
        *used = now;
        Some(value.clone())
    }

    /// Keeps a value, unless there is one: `make` is called only then.
    pub(crate) fn keep(&self, key: K, make: impl FnOnce() -> V) {
        if self.get(key).is_some() {
            return;
        }
        let value = make();
        let mut table = self.lock();
        while table.entries.len() >= self.most {
            let oldest = table.entries.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            table.entries.remove(&oldest);
        }
        let now = table.uses;
        table.entries.insert(key, (value, now));
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table<K, V>> {
        // Nothing that could panic half-way is done under the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let recent = Recent::new(2);
        recent.keep(1, || "one");
        recent.keep(2, || "two");
        assert_eq!(recent.get(1), Some("one"));
        recent.keep(3, || "three");
        assert_eq!(
            (recent.get(1), recent.get(2), recent.len()),
            (Some("one"), None, 2)
        );
        recent.keep(3, || "another");
        assert_eq!(recent.get(3), Some("three"));
    }
}
