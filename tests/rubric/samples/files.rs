//! What is said of files that are another org's, and of folders that others may write to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use stageflow::context::{OrgId, SystemIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{Class, Row, SqliteOptions, SqliteStore, Store as _, StoreError, Write};

use super::{CANARY, Sample, kind_name};
use crate::block_on;

fn sample(error: &StoreError) -> Sample {
    let kind = kind_name("StoreErrorKind", &error.kind());
    Sample::of("StoreError", &kind, error.code(), error).beside_a_secret()
}

/// What is said to one whose file is a copy of another's.
async fn copied() -> StoreError {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [(), ()].map(|()| OrgId::generate(&SystemIds::new()));
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let shelf = store.open(&scope_of(one, None)).await.unwrap();
    let class = Class::Documents;
    let row = Row::new("k", 1, CANARY);
    assert!(
        shelf
            .commit(vec![Write::Insert { class, row }])
            .await
            .unwrap()
    );
    store.close().await;
    let file = |org: OrgId| {
        folder
            .path()
            .join(format!("org_{}.db", org.as_uuid().simple()))
    };
    fs::copy(file(one), file(other)).unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    store.open(&scope_of(other, None)).await.unwrap_err()
}

fn open_to_all() -> StoreError {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join(CANARY);
    fs::create_dir(&inside).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o777)).unwrap();
    SqliteStore::open(&inside, SqliteOptions::new()).unwrap_err()
}

pub(super) fn samples() -> Vec<Sample> {
    vec![
        sample(&block_on(copied()))
            .names(["store", "file"])
            .facts(["whose a file is"]),
        sample(&open_to_all())
            .names(["store", "folder"])
            .facts(["others may write"]),
    ]
}
