//! What is said of what cannot be kept or read.

use std::error::Error as _;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::context::{OrgId, SystemClock, SystemIds};
use stageflow::executor::{ApprovalRequest, Approvals as _, EditCheck};
use stageflow::interceptors::IdempotencyStore as _;
use stageflow::interceptors::idempotency::{Asker, Scope};
use stageflow::prelude::async_trait;
use stageflow::tenancy::TenantScope;
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Class, MemoryStore, Row, Scan, SeenTenants, Shelf, SqliteOptions, SqliteStore, Store,
    StoreError, StoredAnswers, StoredApprovals, Write,
};

use super::{CANARY, Sample, kind_name};
use crate::block_on;

fn sample(error: &StoreError) -> Sample {
    let kind = kind_name("StoreErrorKind", &error.kind());
    Sample::of("StoreError", &kind, error.code(), error).beside_a_secret()
}

fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

fn insert(key: &str) -> Write {
    let class = Class::Documents;
    let row = Row::new(key, 1, CANARY);
    Write::Insert { class, row }
}

/// What is said when a row is added to such a store.
async fn refused(store: &dyn Store, org: OrgId, writes: Vec<Write>) -> StoreError {
    match store.open(&scope_of(org, None)).await {
        Ok(shelf) => shelf.commit(writes).await.unwrap_err(),
        Err(error) => error,
    }
}

/// What is said when the file of an org was changed like this.
async fn changed(change: impl FnOnce(&PathBuf)) -> StoreError {
    let folder = tempfile::tempdir().unwrap();
    let org = org();
    let open = || SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let store = open();
    let shelf = store.open(&scope_of(org, None)).await.unwrap();
    assert!(shelf.commit(vec![insert("k")]).await.unwrap());
    store.close().await;
    change(
        &folder
            .path()
            .join(format!("org_{}.db", org.as_uuid().simple())),
    );
    refused(&open(), org, vec![insert("l")]).await
}

/// The file says how often it was brought up in the four bytes from the sixtieth on.
fn made_newer(file: &PathBuf) {
    let mut bytes = fs::read(file).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(file, bytes).unwrap();
}

/// Where somebody else is always faster.
#[derive(Debug)]
struct Crowded(OrgId);

#[async_trait]
impl Shelf for Crowded {
    fn org(&self) -> OrgId {
        self.0
    }

    async fn commit(&self, _: Vec<Write>) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn get(&self, _: Class, _: &str) -> Result<Option<Row>, StoreError> {
        Ok(None)
    }

    async fn scan(&self, _: Scan) -> Result<Vec<Row>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Store for Crowded {
    async fn open(&self, _: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        Ok(Arc::new(Self(self.0)))
    }
}

/// Why an answer cannot be kept.
async fn unanswered(store: impl Store, org: Option<OrgId>) -> StoreError {
    let seen = SeenTenants::new();
    if let Some(org) = org {
        seen.remember(&scope_of(org, None));
    }
    let answers = StoredAnswers::new(Arc::new(store), &seen);
    let scope = Scope::new("p", "pay".parse().unwrap(), CANARY.parse().unwrap()).for_org(org);
    let error = answers
        .begin(&scope, &Asker::new(), Duration::from_secs(1))
        .await;
    let error = error.unwrap_err();
    let cause = error.source().unwrap().downcast_ref::<StoreError>();
    cause.unwrap().clone()
}

/// A request for nobody cannot be kept.
async fn unasked() -> Sample {
    let approvals = StoredApprovals::new(Arc::new(MemoryStore::new()), &SeenTenants::new());
    let id = |prefix: &str| format!("{prefix}_0193b1a2c3d47e5f8091a2b3c4d5e6f7");
    let request: ApprovalRequest = serde_json::from_value(json!({
        "id": id("apr"),
        "run": id("run"),
        "correlation": id("cor"),
        "pipeline": "letter",
        "path": "sign",
        "title": "Send this?",
        "payload": CANARY,
        "asked_at": { "secs_since_epoch": 1, "nanos_since_epoch": 0 },
    }))
    .unwrap();
    let asked = approvals
        .submit(request, EditCheck::reads_as::<String>())
        .await;
    let error = asked.unwrap_err();
    let kind = kind_name("DeskErrorKind", error.kind());
    Sample::of("DeskError", &kind, error.code(), &error)
        .beside_a_secret()
        .names(["apr_0193b1a2c3d47e5f8091a2b3c4d5e6f7"])
        .facts(["nobody's"])
}

async fn all() -> Vec<Sample> {
    let one = MemoryStore::with(NonZeroUsize::MIN, SystemClock::new());
    let full = refused(&one, org(), vec![insert("a"), insert("b")]).await;
    let long = insert(&CANARY.repeat(30));
    let invalid = refused(&MemoryStore::new(), org(), vec![long]).await;
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join(CANARY);
    fs::write(&taken, "").unwrap();
    let unavailable = SqliteStore::open(&taken, SqliteOptions::new()).unwrap_err();
    let corrupt = changed(|file| fs::write(file, "").unwrap()).await;
    let newer = changed(made_newer).await;
    let not_allowed = unanswered(MemoryStore::new(), None).await;
    let crowded = org();
    let too_busy = unanswered(Crowded(crowded), Some(crowded)).await;
    vec![
        sample(&full).names(["store"]).facts(["adding a row"]),
        sample(&invalid).names(["a row", "key"]).facts(["255"]),
        sample(&unavailable)
            .names(["store"])
            .facts(["making the folder"]),
        sample(&corrupt)
            .names(["store"])
            .facts(["the first page of a file"]),
        sample(&newer)
            .names(["store"])
            .facts(["the version of a file"]),
        sample(&not_allowed)
            .names(["store"])
            .facts(["what is nobody's"]),
        sample(&too_busy)
            .names(["store"])
            .facts(["writing an answer"]),
        unasked().await,
    ]
}

pub(super) fn samples() -> Vec<Sample> {
    block_on(all())
}
