//! A store that makes mistakes, or breaks off.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stageflow::context::OrgId;
use stageflow::interceptors::async_trait;
use stageflow::tenancy::TenantScope;
use stageflow_store::{Class, Row, Scan, Shelf, Store, StoreError, StoreErrorKind, Write};

/// What it does wrong while a user is erased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    None,
    ForgetsClass,
    KeepsContent,
    ClaimsOnly,
    LeavesBytes,
    NamesNobody,
    TakesHolds,
}

#[derive(Clone)]
pub(super) struct Faulty {
    store: Arc<dyn Store>,
    fault: Fault,
    /// How many commits it makes before it breaks off.
    left: Arc<AtomicU64>,
    /// Whether it has shown documents once.
    claimed: Arc<AtomicBool>,
}

impl Faulty {
    pub(super) fn new(store: &Arc<dyn Store>, fault: Fault) -> Self {
        let (store, left) = (Arc::clone(store), Arc::new(AtomicU64::new(u64::MAX)));
        let claimed = Arc::default();
        Self {
            store,
            fault,
            left,
            claimed,
        }
    }

    pub(super) fn stopping_after(self, commits: u64) -> Self {
        self.left.store(commits, Ordering::Relaxed);
        self
    }
}

#[async_trait]
impl Store for Faulty {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shelf = self.store.open(scope).await?;
        Ok(Arc::new(FaultyShelf {
            shelf,
            faulty: self.clone(),
        }))
    }
}

struct FaultyShelf {
    shelf: Arc<dyn Shelf>,
    faulty: Faulty,
}

impl fmt::Debug for FaultyShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shelf, f)
    }
}

#[async_trait]
impl Shelf for FaultyShelf {
    fn org(&self) -> OrgId {
        self.shelf.org()
    }

    async fn commit(&self, mut writes: Vec<Write>) -> Result<bool, StoreError> {
        let gone = || StoreError::new(StoreErrorKind::Unavailable, "committing");
        let left = self.faulty.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(gone());
        }
        self.faulty.left.store(left - 1, Ordering::Relaxed);
        if self.faulty.fault == Fault::ClaimsOnly {
            writes.retain(|write| write.class() != Class::Documents);
        }
        if self.faulty.fault == Fault::KeepsContent {
            for write in &mut writes {
                if let Write::Swap {
                    class: Class::Events,
                    row,
                    ..
                } = write
                {
                    let kept = self.shelf.get(Class::Events, &row.key).await?;
                    row.body = kept.map(|row| row.body).unwrap_or_default();
                }
            }
        }
        let done = self.shelf.commit(writes).await?;
        match left {
            // It happened, and nobody is told.
            1 => Err(gone()),
            _ => Ok(done),
        }
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        self.shelf.get(class, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        let skips = match self.faulty.fault {
            Fault::ForgetsClass => scan.class == Class::Approvals,
            // What it claims to have done is not looked at twice.
            Fault::ClaimsOnly if scan.class == Class::Documents => {
                self.faulty.claimed.swap(true, Ordering::Relaxed)
            }
            _ => false,
        };
        match skips && scan.user.is_some() {
            true => Ok(Vec::new()),
            false => {
                let is_answers = scan.class == Class::Answers;
                let mut rows = self.shelf.scan(scan).await?;
                if is_answers && self.faulty.fault == Fault::TakesHolds {
                    // Whoever erases takes it for work that nobody is at.
                    for row in &mut rows {
                        row.body = row.body.replace("\"held\"", "\"let go\"");
                    }
                }
                Ok(rows)
            }
        }
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        match self.faulty.fault {
            Fault::LeavesBytes => Ok(()),
            _ => self.shelf.scrub().await,
        }
    }
}
