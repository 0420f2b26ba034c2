//! The first file of an org, made by several at once; and files that are not the org's whose name they have.

#![cfg(test)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use stageflow_context::{OrgId, SeededIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Class, Row, Scan, Shelf, SqliteOptions, SqliteStore, Store, StoreError, Write,
};
use tokio::process::Command;

const FOLDER: &str = "STAGEFLOW_TEST_FIRST_FOLDER";
const WHO: &str = "STAGEFLOW_TEST_FIRST_WHO";
const CLASS: Class = Class::Documents;
/// How many orgs get their first file from two at once.
const ORGS: u64 = 1_000;
/// How many files one of them makes at a time.
const AT_ONCE: usize = 16;
/// How many files each of them has open: all stores of this process together stay within the 1024 descriptors that Linux
/// gives a process.
const OPEN: NonZeroUsize = NonZeroUsize::new(64).unwrap();

fn org(number: u64) -> OrgId {
    OrgId::generate(&SeededIds::new(50_000 + number))
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, SqliteOptions::new().files(OPEN)).unwrap()
}

async fn shelf(store: &SqliteStore, org: OrgId) -> Result<Arc<dyn Shelf>, StoreError> {
    store.open(&scope_of(org, None)).await
}

fn put(key: &str) -> Vec<Write> {
    let row = Row::new(key, 1, format!("{key} was here"));
    vec![Write::Put { class: CLASS, row }]
}

/// Keeps a row for each of the orgs. What could not be kept.
async fn keep_for_all(store: &SqliteStore, who: &str) -> Vec<StoreError> {
    let each = |number| async move {
        let shelf = shelf(store, org(number)).await?;
        shelf.commit(put(who)).await.map(|done| assert!(done))
    };
    let kept = stream::iter((0..ORGS).map(each)).buffered(AT_ONCE);
    kept.filter_map(async |kept| kept.err()).collect().await
}

/// Every file is there for whoever comes later, with what both have written, and there is nothing else.
async fn assert_all_there(folder: &Path) {
    let store = open(folder);
    for number in 0..ORGS {
        let shelf = shelf(&store, org(number)).await.unwrap();
        let rows = shelf.scan(Scan::of(CLASS)).await.unwrap();
        let keys: Vec<String> = rows.into_iter().map(|row| row.key).collect();
        assert_eq!(keys, ["one", "two"], "org {number}");
    }
    store.close().await;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains(".new"), "{name} is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_make_the_first_files_of_a_thousand_orgs() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    let (first, second) = tokio::join!(keep_for_all(&one, "one"), keep_for_all(&two, "two"));
    tokio::join!(one.close(), two.close());
    let failed = [first, second].concat();
    assert!(
        failed.is_empty(),
        "{} failed: {:?}",
        failed.len(),
        failed[0]
    );
    assert_all_there(folder.path()).await;
}

/// Started by the test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "one of two processes"]
async fn keeps_for_all() {
    let (Ok(folder), Ok(who)) = (std::env::var(FOLDER), std::env::var(WHO)) else {
        return;
    };
    let store = open(Path::new(&folder));
    let failed = keep_for_all(&store, &who).await;
    store.close().await;
    assert!(
        failed.is_empty(),
        "{} failed: {:?}",
        failed.len(),
        failed[0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_make_the_first_files_of_a_thousand_orgs() {
    let folder = tempfile::tempdir().unwrap();
    let start = |who| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "keeps_for_all"]);
        command.env(FOLDER, folder.path()).env(WHO, who);
        command.stdout(Stdio::null()).kill_on_drop(true);
        command.spawn().unwrap()
    };
    let (mut one, mut two) = (start("one"), start("two"));
    let (first, second) = tokio::join!(one.wait(), two.wait());
    assert!(first.unwrap().success() && second.unwrap().success());
    assert_all_there(folder.path()).await;
}
