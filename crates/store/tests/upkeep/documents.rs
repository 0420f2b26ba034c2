//! A change of a document and what is told of it are one thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use stageflow_context::OrgId;
use stageflow_store::{
    AuditDraft, AuditTrail, AuditedDocuments, Class, Documents, Erasure, Row, Scan, Shelf, Store,
    StoreError, Write,
};
use stageflow_tenancy::TenantScope;

use crate::new_store;
use crate::support::{AnyStore, Breaking, everything, keys, org, scope, user};

fn sum(text: &str) -> Option<String> {
    Some(format!("sha256:{:x}", Sha256::digest(text)))
}

fn told() -> AuditDraft {
    AuditDraft::new("kb.document_changed").by("ada")
}

#[tokio::test]
async fn each_change_says_what_was_there_before_and_after() {
    let (store, scope) = (new_store(), scope(org()));
    let documents = Documents::open(&store, &scope).await.unwrap();
    let audited = documents.audited(keys());
    audited
        .put("moon", &json!("teh moon"), told())
        .await
        .unwrap();
    audited
        .put("moon", &json!("the moon"), told())
        .await
        .unwrap();
    assert!(audited.delete("moon", told()).await.unwrap());
    assert!(!audited.delete("moon", told()).await.unwrap());
    assert_eq!(documents.get("moon").await.unwrap(), None);

    let trail = AuditTrail::new(store.open(&scope).await.unwrap(), keys());
    assert_eq!(trail.verify().await.unwrap().entries, 3);
    let (teh, the) = (sum("\"teh moon\""), sum("\"the moon\""));
    for (number, before, after) in [
        (1, None, &teh),
        (2, teh.clone(), &the),
        (3, the.clone(), &None),
    ] {
        let entry = trail.entry(number).await.unwrap().unwrap();
        assert_eq!((entry.before, &entry.after), (before, after), "{number}");
        assert_eq!(entry.detail.unwrap().who.as_deref(), Some("ada"));
    }
}

/// What says little can be guessed by its sum, and must go with whom it is about.
#[tokio::test]
async fn sums_of_what_is_a_users_go_with_the_user() {
    let (store, scope, ada) = (new_store(), scope(org()), user());
    let documents = Documents::open(&store, &scope).await.unwrap().of(ada);
    let draft = told().by("program").details(json!({ "why": "asked" }));
    documents
        .audited(keys())
        .put("language", &json!("de"), draft)
        .await
        .unwrap();
    let shelf = store.open(&scope).await.unwrap();
    let trail = AuditTrail::new(Arc::clone(&shelf), keys());
    let entry = trail.entry(1).await.unwrap().unwrap();
    assert_eq!((entry.before, entry.after), (None, None));
    let details = entry.detail.unwrap().details;
    assert_eq!(details["changed"]["after"], json!(sum("\"de\"")));
    assert_eq!(details["why"], "asked");
    Erasure::new(store, keys())
        .erase(&scope, ada)
        .await
        .unwrap();
    assert!(!everything(&*shelf).await.contains(&sum("\"de\"").unwrap()));
    trail.verify().await.unwrap();
}

/// Wherever it breaks off, and whoever else writes: as many changes as entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_and_its_entry_are_one() {
    let (store, scope) = (new_store(), scope(org()));
    let shelf = store.open(&scope).await.unwrap();
    for stop in 0..4 {
        let broken = Breaking::after(&store, stop);
        let documents = Documents::open(&broken, &scope)
            .await
            .unwrap()
            .audited(keys());
        let name = format!("d{stop}");
        while documents.put(&name, &json!(stop), told()).await.is_ok() {}
    }
    let changed = async || {
        let documents = Documents::open(&store, &scope).await.unwrap();
        let all = documents.list("", None, 100).await.unwrap();
        all.iter().map(|document| document.version + 1).sum::<u64>()
    };
    let trail = AuditTrail::new(shelf, keys());
    assert_eq!(changed().await, 6);
    assert_eq!(trail.verify().await.unwrap().entries, 6);

    let writers = (0..3).map(|who| {
        let (store, scope) = (store.clone(), scope.clone());
        tokio::runtime::Handle::current().spawn(async move {
            let documents = Documents::open(&store, &scope)
                .await
                .unwrap()
                .audited(keys());
            for n in 0..10 {
                documents
                    .put("shared", &json!([who, n]), told())
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(changed().await, 36);
    assert_eq!(trail.verify().await.unwrap().entries, 36);
}

/// A store in which somebody else changes the document as soon as it was read, and appends just before an entry is looked for:
/// each of it once.
struct Meddled {
    store: AnyStore,
}

#[derive(Debug)]
struct MeddledShelf {
    shelf: Arc<dyn Shelf>,
    others: AuditedDocuments,
    changed: AtomicBool,
    told: AtomicBool,
}

#[async_trait]
impl Store for Meddled {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let others = Documents::open(&self.store, scope).await?;
        Ok(Arc::new(MeddledShelf {
            shelf: self.store.open(scope).await?,
            others: others.audited(keys()),
            changed: AtomicBool::new(false),
            told: AtomicBool::new(false),
        }))
    }
}

#[async_trait]
impl Shelf for MeddledShelf {
    fn org(&self) -> OrgId {
        self.shelf.org()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        self.shelf.commit(writes).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        let is_entry = class == Class::Audit && key.starts_with("e/");
        if is_entry && !self.told.swap(true, Ordering::Relaxed) {
            self.others.put("another", &json!(1), told()).await.unwrap();
        }
        let row = self.shelf.get(class, key).await?;
        if class == Class::Documents && !self.changed.swap(true, Ordering::Relaxed) {
            self.others.put("shared", &json!(1), told()).await.unwrap();
        }
        Ok(row)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.shelf.scan(scan).await
    }
}

/// An entry that another one appended at the wrong moment is nobody's forgery.
#[tokio::test]
async fn who_was_faster_twice_is_no_forger() {
    let (store, scope) = (new_store(), scope(org()));
    let documents = Documents::open(&store, &scope).await.unwrap();
    documents
        .audited(keys())
        .put("shared", &json!(0), told())
        .await
        .unwrap();
    let store = Meddled { store };
    let meddled = Documents::open(&store, &scope).await.unwrap();
    let mine = meddled.audited(keys());
    mine.put("shared", &json!(2), told()).await.unwrap();
    let shared = documents.get("shared").await.unwrap().unwrap();
    assert_eq!((shared.value, shared.version), (json!(2), 2));
    let trail = AuditTrail::new(store.store.open(&scope).await.unwrap(), keys());
    assert_eq!(trail.verify().await.unwrap().entries, 4);
}
