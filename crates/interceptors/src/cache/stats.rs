//! What a cache has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`Cache`](super::Cache) has done so far. `hits + joined + misses` is the number of calls that came to an answer or
/// were let through to the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Values it holds now, those that are too old and were not asked for since included.
    pub entries: u64,
    /// Values it let go of because it was full.
    pub evicted: u64,
    /// Values it let go of because they were too old when they were asked for.
    pub expired: u64,
    /// Calls it answered with what it had.
    pub hits: u64,
    /// Calls that were given the value of an equal call at the same time.
    pub joined: u64,
    /// Calls that went on to the stage.
    pub misses: u64,
    /// Values it has stored.
    pub stored: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) evicted: Count,
    pub(super) expired: Count,
    pub(super) hits: Count,
    pub(super) joined: Count,
    pub(super) misses: Count,
    pub(super) stored: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn count(&self) {
        // Nothing else is read because of it.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    pub(super) fn read(&self, entries: u64) -> CacheStats {
        CacheStats {
            entries,
            evicted: self.evicted.read(),
            expired: self.expired.read(),
            hits: self.hits.read(),
            joined: self.joined.read(),
            misses: self.misses.read(),
            stored: self.stored.read(),
        }
    }
}
