//! A store in memory.

mod tables;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stageflow_context::{OrgId, SystemClock, WallClock};
use stageflow_tenancy::TenantScope;

use self::tables::Tables;
use crate::time::millis;
use crate::{Class, Row, Scan, Shelf, Store, StoreError, StoreErrorKind, Write};

/// Keeps rows in memory: for tests and examples. It does what every store does, but for the disk: what it keeps is gone with
/// its last clone. A clone is the same store.
///
/// ```
/// use stageflow_store::{Class, MemoryStore, Row, Store, Write};
/// # use std::sync::Arc;
/// # use std::time::SystemTime;
/// # use stageflow_context::{ContextSnapshot, OrgId, RunId, RunIdentity, SystemIds};
/// # use stageflow_events::RunHeader;
/// # use stageflow_tenancy::TenantScope;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stageflow_store::StoreError> {
/// # let ids = SystemIds::new();
/// # let identity = RunIdentity::new(RunId::generate(&ids)).with_org_id(OrgId::generate(&ids));
/// # let header = RunHeader::by_hand(ContextSnapshot::new(identity), "p".into(), [].into(), SystemTime::UNIX_EPOCH);
/// # let scope = TenantScope::of_header(&header).unwrap();
/// let store = MemoryStore::new();
/// let shelf = store.open(&scope).await?; // in a stage: `TenantScope::of(&cx)?`
/// let row = Row::new("greeting", 0, r#""hello""#);
/// assert!(shelf.commit(vec![Write::Insert { class: Class::Documents, row: row.clone() }]).await?);
/// assert!(!shelf.commit(vec![Write::Insert { class: Class::Documents, row }]).await?); // there is one
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    orgs: Mutex<HashMap<OrgId, Arc<Mutex<Tables>>>>,
    rows: NonZeroUsize,
    wall: Arc<dyn WallClock>,
}

impl MemoryStore {
    /// A store of at most 100 000 rows an org, by the clock of the machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with(
            const { NonZeroUsize::new(100_000).unwrap() },
            SystemClock::new(),
        )
    }

    /// A store of at most so many rows an org, by this clock. One more is [`StoreErrorKind::Full`].
    #[must_use]
    pub fn with(rows: NonZeroUsize, wall: impl WallClock + 'static) -> Self {
        Self(Arc::new(Inner {
            orgs: Mutex::default(),
            rows,
            wall: Arc::new(wall),
        }))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let org = scope.org();
        let tables = Arc::clone(lock(&self.0.orgs).entry(org).or_default());
        Ok(Arc::new(MemoryShelf {
            org,
            tables,
            rows: self.0.rows,
            wall: Arc::clone(&self.0.wall),
        }))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("orgs", &lock(&self.0.orgs).len())
            .finish_non_exhaustive()
    }
}

struct MemoryShelf {
    org: OrgId,
    tables: Arc<Mutex<Tables>>,
    rows: NonZeroUsize,
    wall: Arc<dyn WallClock>,
}

#[async_trait]
impl Shelf for MemoryShelf {
    fn org(&self) -> OrgId {
        self.org
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        Write::check(&writes)?;
        let now = millis(&*self.wall);
        lock(&self.tables)
            .commit(writes, now, self.rows.get())
            .map_err(|tables::TooMany| StoreError::new(StoreErrorKind::Full, "adding a row"))
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        Row::check_key(key)?;
        let now = millis(&*self.wall);
        Ok(lock(&self.tables).get(class, key, now).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        scan.check()?;
        let now = millis(&*self.wall);
        Ok(lock(&self.tables).scan(&scan, now))
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        let now = millis(&*self.wall);
        lock(&self.tables).forget_old(now);
        Ok(())
    }
}

impl fmt::Debug for MemoryShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryShelf")
            .field("org", &self.org)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that could panic half-way is done under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
