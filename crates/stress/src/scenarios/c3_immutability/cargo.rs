//! What stages hand on here: nested, and with a place where a shallow copy would show.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Seed;

pub(super) struct Cargo {
    lists: Vec<Vec<u64>>,
    names: BTreeMap<String, Vec<String>>,
    /// Behind a lock, as a type that a user should not write may have it. A copy has one of its own.
    tail: Arc<Mutex<Vec<u64>>>,
}

impl Cargo {
    pub(super) fn new(seed: Seed) -> Self {
        let number = |at: u64| seed.child(at).get();
        let name = |at: u64| (format!("name-{at}"), vec![format!("{:x}", number(at)); 3]);
        Self {
            lists: (0..4)
                .map(|list| (0..8).map(|at| number(list * 8 + at)).collect())
                .collect(),
            names: (0..4).map(name).collect(),
            tail: Arc::new(Mutex::new(vec![number(99)])),
        }
    }

    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.lists, &self.names, &*self.tail()).hash(&mut hasher);
        hasher.finish()
    }

    /// A copy to change; a shallow one shares the tail.
    pub(super) fn copy(&self, shallow: bool) -> Self {
        let tail = if shallow {
            Arc::clone(&self.tail)
        } else {
            Arc::new(Mutex::new(self.tail().clone()))
        };
        Self {
            lists: self.lists.clone(),
            names: self.names.clone(),
            tail,
        }
    }

    /// Changes everything there is.
    pub(super) fn change(&mut self, by: u64) {
        self.lists
            .iter_mut()
            .flatten()
            .for_each(|number| *number ^= by | 1);
        self.names
            .values_mut()
            .for_each(|names| names.push("changed".to_owned()));
        self.tail().push(by);
    }

    fn tail(&self) -> MutexGuard<'_, Vec<u64>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
