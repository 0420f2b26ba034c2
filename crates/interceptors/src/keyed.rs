//! A table of what layers know, by key, with a bound.

use std::num::NonZeroUsize;
use std::sync::Arc;

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use crate::Key;

/// What a layer knows under one key.
pub(crate) trait Kept: Send + Sync {
    /// Whether it is as good as new: nothing is lost if it goes.
    fn is_idle(&self) -> bool;
}

/// What a layer knows, by key. It holds a bounded number of keys; those that find no place share one.
pub(crate) struct Keyed<S> {
    most: NonZeroUsize,
    make: Box<dyn Fn() -> S + Send + Sync>,
    kept: DashMap<Key, Arc<S>, FxBuildHasher>,
    others: Arc<S>,
}

impl<S: Kept> Keyed<S> {
    /// A table of at most so many keys.
    pub(crate) fn new(most: NonZeroUsize, make: impl Fn() -> S + Send + Sync + 'static) -> Self {
        Self {
            most,
            others: Arc::new(make()),
            make: Box::new(make),
            kept: DashMap::with_hasher(FxBuildHasher),
        }
    }

    /// What is known under this key.
    pub(crate) fn get(&self, key: &Key) -> Arc<S> {
        if let Some(found) = self.kept.get(key) {
            return Arc::clone(&found);
        }
        if self.kept.len() >= self.most.get() {
            // What somebody still holds is not idle, whatever it says.
            self.kept
                .retain(|_, kept| Arc::strong_count(kept) > 1 || !kept.is_idle());
            if self.kept.len() >= self.most.get() {
                return Arc::clone(&self.others);
            }
        }
        let made = self.kept.entry(key.clone());
        Arc::clone(&made.or_insert_with(|| Arc::new((self.make)())))
    }

    /// How many keys are known.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What is known under this key, if it is known.
    pub(crate) fn find(&self, key: &Key) -> Option<Arc<S>> {
        self.kept.get(key).map(|found| Arc::clone(&found))
    }

    /// All keys and what is known under them.
    pub(crate) fn all(&self) -> Vec<(Key, Arc<S>)> {
        let kept = self.kept.iter();
        kept.map(|entry| (entry.key().clone(), Arc::clone(entry.value())))
            .collect()
    }

    /// What those share that found no place.
    pub(crate) fn others(&self) -> &S {
        &self.others
    }
}
