//! What the tests share.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use stageflow_context::{
    ContextSnapshot, OrgId, RunId, RunIdentity, SealKey, SealKeys, SystemIds, UserId,
};
use stageflow_events::RunHeader;
use stageflow_store::{
    AuditTrail, Class, Row, Scan, Shelf, Store, StoreError, StoreErrorKind, Write,
};
use stageflow_tenancy::TenantScope;
use tempfile::TempDir;
use tokio::task::yield_now;

pub(crate) fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(7, [0x5a; 32]))
}

pub(crate) fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

pub(crate) fn user() -> UserId {
    UserId::generate(&SystemIds::new())
}

/// The header of a run of theirs.
pub(crate) fn header(
    org: impl Into<Option<OrgId>>,
    user: impl Into<Option<UserId>>,
) -> Arc<RunHeader> {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new()))
        .with_org_id(org)
        .with_user_id(user);
    let context = ContextSnapshot::new(identity);
    let started = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    Arc::new(RunHeader::by_hand(
        context,
        "answer".into(),
        [].into(),
        started,
    ))
}

pub(crate) fn scope(org: OrgId) -> TenantScope {
    TenantScope::of_header(&header(org, None)).unwrap()
}

/// A store of the kind that is tested, and the folder that it is in, if it is in one.
#[derive(Clone)]
pub(crate) struct AnyStore(Arc<dyn Store>, Option<Arc<TempDir>>);

impl AnyStore {
    pub(crate) fn new(store: impl Store, folder: Option<TempDir>) -> Self {
        Self(Arc::new(store), folder.map(Arc::new))
    }
}

#[async_trait]
impl Store for AnyStore {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shelf = self.0.open(scope).await?;
        // The folder is there for as long as a shelf is.
        let folder = self.1.clone();
        Ok(Arc::new(AnyShelf {
            shelf,
            _folder: folder,
        }))
    }
}

#[derive(Debug)]
struct AnyShelf {
    shelf: Arc<dyn Shelf>,
    _folder: Option<Arc<TempDir>>,
}

#[async_trait]
impl Shelf for AnyShelf {
    fn org(&self) -> OrgId {
        self.shelf.org()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        self.shelf.commit(writes).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        self.shelf.get(class, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.shelf.scan(scan).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.shelf.scrub().await
    }
}

/// A shelf of a new tenant, and its trail.
pub(crate) async fn trail() -> (Arc<dyn Shelf>, AuditTrail) {
    let shelf = crate::new_store().open(&scope(org())).await.unwrap();
    (Arc::clone(&shelf), AuditTrail::new(shelf, keys()))
}

/// All rows of a class.
pub(crate) async fn rows(shelf: &dyn Shelf, class: Class) -> Vec<Row> {
    shelf.scan(Scan::of(class).most(Scan::MOST)).await.unwrap()
}

pub(crate) async fn put(shelf: &dyn Shelf, class: Class, row: Row) {
    assert!(shelf.commit(vec![Write::Put { class, row }]).await.unwrap());
}

pub(crate) async fn delete(shelf: &dyn Shelf, class: Class, key: &str) {
    let key = key.to_owned();
    assert!(
        shelf
            .commit(vec![Write::Delete { class, key }])
            .await
            .unwrap()
    );
}

/// Everything a shelf holds, as one text.
pub(crate) async fn everything(shelf: &dyn Shelf) -> String {
    let mut all = String::new();
    for class in Class::ALL {
        for row in rows(shelf, class).await {
            writeln!(all, "{} {:?} {}", row.key, row.user, row.body).unwrap();
        }
    }
    all
}

/// A store that breaks off after so many commits: the last one happens, and nobody is told. Others come in between any two calls.
#[derive(Clone)]
pub(crate) struct Breaking {
    store: AnyStore,
    left: Arc<AtomicU64>,
}

impl Breaking {
    pub(crate) fn after(store: &AnyStore, commits: u64) -> Self {
        let (store, left) = (store.clone(), Arc::new(AtomicU64::new(commits)));
        Self { store, left }
    }
}

#[async_trait]
impl Store for Breaking {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shelf = self.store.open(scope).await?;
        let left = Arc::clone(&self.left);
        Ok(Arc::new(BreakingShelf { shelf, left }))
    }
}

#[derive(Debug)]
struct BreakingShelf {
    shelf: Arc<dyn Shelf>,
    left: Arc<AtomicU64>,
}

#[async_trait]
impl Shelf for BreakingShelf {
    fn org(&self) -> OrgId {
        self.shelf.org()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        yield_now().await;
        let gone = || StoreError::new(StoreErrorKind::Unavailable, "committing");
        match self.left.load(Ordering::Relaxed) {
            0 => Err(gone()),
            left => {
                self.left.store(left - 1, Ordering::Relaxed);
                let done = self.shelf.commit(writes).await?;
                match left {
                    1 => Err(gone()),
                    _ => Ok(done),
                }
            }
        }
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        yield_now().await;
        self.shelf.get(class, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        yield_now().await;
        self.shelf.scan(scan).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.shelf.scrub().await
    }
}
