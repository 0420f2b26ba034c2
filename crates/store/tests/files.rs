//! What a store of files leaves on the disk, and what it does with files that are not as it left them.

#![cfg(test)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stageflow_context::{OrgId, SystemIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Check, Class, Row, Scan, Shelf, SqliteOptions, SqliteStore, Store, StoreError, StoreErrorKind,
    Write,
};

const CLASS: Class = Class::Documents;

fn put(key: &str, body: impl Into<String>) -> Vec<Write> {
    let row = Row::new(key, 1, body);
    vec![Write::Put { class: CLASS, row }]
}

fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

fn file(folder: &Path, org: OrgId) -> PathBuf {
    folder.join(format!("org_{}.db", org.as_uuid().simple()))
}

async fn shelf(store: &SqliteStore, org: OrgId) -> Result<Arc<dyn Shelf>, StoreError> {
    store.open(&scope_of(org, None)).await
}

/// A folder with the file of an org that has so many rows, closed.
async fn filled(org: OrgId, rows: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let shelf = shelf(&store, org).await.unwrap();
    for number in 0..rows {
        let body = format!("body-{number:04}-{}", "x".repeat(500));
        assert!(
            shelf
                .commit(put(&format!("{number:04}"), body))
                .await
                .unwrap()
        );
    }
    store.close().await;
    folder
}

#[cfg(unix)]
#[tokio::test]
async fn each_org_has_a_file_that_only_its_owner_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("deep/inside");
    let store = SqliteStore::open(&inside, SqliteOptions::new()).unwrap();
    let (a, b, idle) = (org(), org(), org());
    shelf(&store, a)
        .await
        .unwrap()
        .commit(put("k", "canary-of-a"))
        .await
        .unwrap();
    shelf(&store, b)
        .await
        .unwrap()
        .commit(put("k", "canary-of-b"))
        .await
        .unwrap();
    let unused = shelf(&store, idle).await.unwrap();
    assert_eq!(unused.get(CLASS, "k").await.unwrap(), None);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inside), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&inside).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    store.close().await;
    let of = |org: OrgId| format!("org_{}", org.as_uuid().simple());
    assert!(
        names
            .iter()
            .all(|name| name.starts_with(&of(a)) || name.starts_with(&of(b)))
    );
    let bytes = fs::read(file(&inside, a)).unwrap();
    let has = |canary: &[u8]| bytes.windows(canary.len()).any(|part| part == canary);
    assert!(has(b"canary-of-a") && !has(b"canary-of-b"));
    // Closed, nothing is left beside the files.
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 2);
}

#[tokio::test]
async fn a_store_that_is_closed_does_not_answer_and_one_that_is_opened_again_does() {
    let org = org();
    let folder = filled(org, 3).await;
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let shelf_ = shelf(&store, org).await.unwrap();
    assert_eq!(shelf_.scan(Scan::of(CLASS)).await.unwrap().len(), 3);
    tokio::join!(store.close(), store.close());
    let refused = shelf_.commit(put("k", "x")).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        shelf_.get(CLASS, "0000").await.unwrap_err().code(),
        "SF0711"
    );
    assert!(shelf(&store, org).await.is_err());
}

/// All that waits when the store is told to close is carried out, or its caller is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_when_a_store_closes_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let org = org();
    let shelf_ = shelf(&store, org).await.unwrap();
    let commits = (0..100).map(|number| {
        let shelf_ = Arc::clone(&shelf_);
        async move { shelf_.commit(put(&format!("{number:03}"), "x")).await }
    });
    let commits = futures_util::future::join_all(commits);
    let (answers, ()) = tokio::join!(commits, store.close());
    let acknowledged = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(true)))
        .count();
    let again = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let rows = shelf(&again, org)
        .await
        .unwrap()
        .scan(Scan::of(CLASS))
        .await
        .unwrap();
    assert_eq!(rows.len(), acknowledged);
}

#[tokio::test]
async fn a_file_that_was_cut_to_nothing_is_not_an_empty_one() {
    let org = org();
    for kept in [0, 1, 100, 4_095] {
        let folder = filled(org, 3).await;
        let path = file(folder.path(), org);
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(kept)
            .unwrap();
        let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
        let refused = shelf(&store, org).await.unwrap_err();
        assert_eq!(
            refused.kind(),
            StoreErrorKind::Corrupt,
            "cut to {kept} bytes"
        );
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let org = org();
    let folder = filled(org, 3).await;
    let path = file(folder.path(), org);
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    newer.close().unwrap();
    let before = fs::read(&path).unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let refused = shelf(&store, org).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.code()),
        (StoreErrorKind::Newer, "SF0714")
    );
    store.close().await;
    assert!(fs::read(&path).unwrap() == before);
}

/// Every row that comes back says what was written, or the file is corrupt: whatever byte is flipped, and wherever it is cut.
#[tokio::test]
async fn a_file_that_was_changed_gives_no_other_rows() {
    const ROWS: usize = 40;
    let org = org();
    let folder = filled(org, ROWS).await;
    let path = file(folder.path(), org);
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    let (mut harmless, mut missing) = (0, 0);
    let flips = (0..whole.len()).step_by(331).map(|at| (at, None));
    let cuts = (0..whole.len()).step_by(4_096).map(|at| (0, Some(at)));
    for (at, cut) in flips.chain(cuts) {
        let mut bytes = whole.clone();
        match cut {
            Some(cut) => bytes.truncate(cut),
            None => bytes[at] ^= 0x55,
        }
        let changed = tempfile::tempdir().unwrap();
        fs::write(file(changed.path(), org), bytes).unwrap();
        let options = SqliteOptions::new().check(Check::Whole);
        let one = NonZeroUsize::MIN;
        let store = SqliteStore::open(changed.path(), options.readers(one).writers(one)).unwrap();
        let rows = async { shelf(&store, org).await?.scan(Scan::of(CLASS)).await };
        match rows.await {
            Ok(rows) => {
                for row in &rows {
                    let number: usize = row.key.parse().unwrap();
                    let right = format!("body-{number:04}-{}", "x".repeat(500));
                    assert!(
                        row.body == right && row.at == 1,
                        "byte {at}, cut {cut:?}: {row:?}"
                    );
                }
                harmless += usize::from(rows.len() == ROWS);
                missing += usize::from(rows.len() != ROWS);
            }
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    StoreErrorKind::Corrupt,
                    "byte {at}, cut {cut:?}: {error:?}"
                );
                noticed += 1;
            }
        }
    }
    // What is not noticed was in no row: in a free part of a page, or in an index of other columns.
    assert_eq!(missing, 0, "{noticed} were noticed, {harmless} did no harm");
    assert!(
        noticed > harmless / 4,
        "{noticed} were noticed, {harmless} did no harm"
    );
}

#[tokio::test]
async fn after_a_scrub_nothing_is_left_of_what_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let org = org();
    let shelf = shelf(&store, org).await.unwrap();
    for number in 0..200 {
        let body = format!("canary-{number} {}", "y".repeat(number * 20));
        shelf
            .commit(put(&format!("gone-{number:03}"), body))
            .await
            .unwrap();
        shelf
            .commit(put(&format!("kept-{number:03}"), "kept"))
            .await
            .unwrap();
    }
    for number in 0..200 {
        let key = format!("gone-{number:03}");
        shelf
            .commit(vec![Write::Delete { class: CLASS, key }])
            .await
            .unwrap();
    }
    let left = || {
        let mut count = 0;
        for entry in fs::read_dir(folder.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            count += bytes.windows(7).filter(|part| *part == b"canary-").count();
            count += bytes.windows(5).filter(|part| *part == b"gone-").count();
        }
        count
    };
    assert!(left() > 0, "the log has it still");
    shelf.scrub().await.unwrap();
    assert_eq!(left(), 0);
    assert_eq!(shelf.scan(Scan::of(CLASS)).await.unwrap().len(), 200);
    store.close().await;
    assert_eq!(left(), 0);
}
