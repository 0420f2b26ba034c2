//! How a file comes to be, and how many are open.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use stageflow_context::{OrgId, SeededIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{Class, Row, Scan, SqliteOptions, SqliteStore, Store, Write};

const CLASS: Class = Class::Documents;

fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn orgs(count: u64) -> Vec<OrgId> {
    let org = |seed| OrgId::generate(&SeededIds::new(seed));
    (0..count).map(org).collect()
}

/// Writes a row of each org, and reads it.
async fn use_all(store: &SqliteStore, orgs: &[OrgId]) {
    for org in orgs {
        let shelf = store.open(&scope_of(*org, None)).await.unwrap();
        let row = Row::new("k", 1, org.to_string());
        let put = Write::Put { class: CLASS, row };
        assert!(shelf.commit(vec![put]).await.unwrap());
        let row = shelf.get(CLASS, "k").await.unwrap().unwrap();
        assert_eq!(row.body, org.to_string());
    }
}

/// The files of a folder that this process has open, each as often as it is open: their logs, that is. SQLite keeps the
/// descriptor of a file itself for as long as somebody else in the process has a lock on it, closed or not.
fn open_in(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let paths = all.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    paths
        .filter(|path| {
            path.starts_with(folder) && path.extension().is_some_and(|end| end == "db-wal")
        })
        .collect()
}

#[tokio::test]
async fn no_more_files_are_open_than_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap();
    let options = SqliteOptions::new().writers(many(4)).readers(many(2));
    let store = SqliteStore::open(&path, options.files(many(24))).unwrap();
    use_all(&store, &orgs(60)).await;
    // 60 orgs on 4 and on 2 threads: each thread has more of them than files. SQLite keeps a file that one thread has closed
    // until the other side has closed it too, so that there may be two for each.
    let open = open_in(&path).len();
    assert!((24..=48).contains(&open), "{open}");
    store.close().await;
    assert_eq!(open_in(&path).len(), 0);
}

/// However the threads are divided between writing and reading, half of the files are for each.
#[tokio::test]
async fn files_that_fit_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap();
    let options = SqliteOptions::new().writers(many(7)).readers(many(1));
    let store = SqliteStore::open(&path, options.files(many(140))).unwrap();
    let orgs = orgs(40);
    use_all(&store, &orgs).await;
    let open = open_in(&path);
    let each: HashSet<&PathBuf> = open.iter().collect();
    assert_eq!((open.len(), each.len()), (2 * orgs.len(), orgs.len()));
    store.close().await;
}

/// A file under its name is whole; what an attempt before left half made is no part of it.
#[tokio::test]
async fn a_file_is_made_anew_whatever_an_attempt_before_left() {
    let folder = tempfile::tempdir().unwrap();
    let org = orgs(1)[0];
    let name = format!("org_{}.db", org.as_uuid().simple());
    for left in [".new", ".new-journal", ".new-wal", ".new-shm"] {
        fs::write(folder.path().join(format!("{name}{left}")), "half made").unwrap();
    }
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let shelf = store.open(&scope_of(org, None)).await.unwrap();
    use_all(&store, &[org]).await;
    assert_eq!(shelf.scan(Scan::of(CLASS)).await.unwrap().len(), 1);
    drop(shelf);
    store.close().await;
    let left: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, [name]);
}
