//! The values themselves, with a bound and an age.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rustc_hash::FxBuildHasher;
use stageflow_context::{DynValue, OrgId, RunIdentity, UserId};
use tokio::time::Instant;

use super::stats::Counts;
use super::{CacheKey, Lives};

/// Bounds and evicts with moka. What is too old is told from tokio's clock, which moka does not know.
pub(super) struct Kept {
    entries: Cache<CacheKey, Arc<Entry>, FxBuildHasher>,
    counts: Arc<Counts>,
}

/// Who has made a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Maker {
    pub(super) org: Option<OrgId>,
    pub(super) user: Option<UserId>,
}

impl Maker {
    pub(super) fn of(identity: &RunIdentity) -> Self {
        let (org, user) = (identity.org_id(), identity.user_id());
        Self { org, user }
    }
}

struct Entry {
    value: DynValue,
    made: Maker,
    stored: Instant,
    /// When it was read last, in nanoseconds after it was stored.
    read: AtomicU64,
}

impl Kept {
    pub(super) fn new(entries: NonZeroUsize, counts: &Arc<Counts>) -> Self {
        let evicted = Arc::clone(counts);
        Self {
            entries: Cache::builder()
                .max_capacity(u64::try_from(entries.get()).unwrap_or(u64::MAX))
                .eviction_policy(EvictionPolicy::lru())
                .eviction_listener(move |_, _, cause| {
                    if cause == RemovalCause::Size {
                        evicted.evicted.count();
                    }
                })
                .build_with_hasher(FxBuildHasher),
            counts: Arc::clone(counts),
        }
    }

    /// The value, and how old it is.
    pub(super) fn get(
        &self,
        key: &CacheKey,
        lives: Lives,
        now: Instant,
    ) -> Option<(DynValue, Duration)> {
        let entry = self.entries.get(key)?;
        let age = now.saturating_duration_since(entry.stored);
        let unread = age.saturating_sub(Duration::from_nanos(entry.read.load(Ordering::Relaxed)));
        let over = |limit: Option<Duration>, time: Duration| limit.is_some_and(|max| time >= max);
        if over(lives.total, age) || over(lives.idle, unread) {
            self.entries.invalidate(key);
            self.counts.expired.count();
            return None;
        }
        let nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        entry.read.fetch_max(nanos, Ordering::Relaxed);
        Some((entry.value.clone(), age))
    }

    pub(super) fn put(&self, key: &CacheKey, value: DynValue, made: Maker, now: Instant) {
        let entry = Entry {
            value,
            made,
            stored: now,
            read: AtomicU64::new(0),
        };
        self.entries.insert(key.clone(), Arc::new(entry));
    }

    /// Lets go of what they have made. How many values.
    pub(super) fn forget(&self, maker: Maker) -> u64 {
        let theirs = self.entries.iter().filter(|(_, entry)| entry.made == maker);
        let theirs: Vec<_> = theirs.map(|(key, _)| key).collect();
        theirs
            .iter()
            .for_each(|key| self.entries.invalidate(&**key));
        // What is invalid is in memory still until this is done.
        self.entries.run_pending_tasks();
        theirs.len() as u64
    }

    pub(super) fn clear(&self) {
        self.entries.invalidate_all();
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }
}
