//! Files that are not the org's whose name they have, folders that others may write to, and files of an older version.

#![cfg(test)]
#![cfg(unix)]

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use stageflow_context::{OrgId, SystemIds, UserId};
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Class, Row, Scan, Shelf, SqliteOptions, SqliteStore, Store, StoreError, StoreErrorKind, Write,
};
use tempfile::TempDir;

const CLASS: Class = Class::Documents;

fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

fn file(folder: &TempDir, org: OrgId) -> PathBuf {
    folder
        .path()
        .join(format!("org_{}.db", org.as_uuid().simple()))
}

fn open(folder: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(folder, SqliteOptions::new())
}

async fn shelf(store: &SqliteStore, org: OrgId) -> Result<Arc<dyn Shelf>, StoreError> {
    store.open(&scope_of(org, None)).await
}

fn row(number: usize) -> Row {
    Row::new(format!("{number:03}"), 1, format!("canary {number}"))
}

/// Keeps three rows for each, and closes the store.
async fn filled(folder: &TempDir, orgs: &[OrgId]) {
    let store = open(folder.path()).unwrap();
    for org in orgs {
        let put = |number| Write::Put {
            class: CLASS,
            row: row(number),
        };
        let shelf = shelf(&store, *org).await.unwrap();
        assert!(shelf.commit((0..3).map(put).collect()).await.unwrap());
    }
    store.close().await;
}

/// What an org reads, or the first error on the way.
async fn read(folder: &TempDir, org: OrgId) -> Result<Vec<Row>, StoreError> {
    let store = open(folder.path())?;
    let shelf = shelf(&store, org).await?;
    let rows = shelf.scan(Scan::of(CLASS)).await;
    store.close().await;
    rows
}

#[tokio::test]
async fn the_file_of_another_org_is_not_read_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (org(), org());
    filled(&folder, &[a]).await;
    let (of_a, of_b) = (file(&folder, a), file(&folder, b));
    type Put = fn(&Path, &Path) -> std::io::Result<()>;
    let ways: [(&str, Put); 4] = [
        ("a copy", |from, to| fs::copy(from, to).map(drop)),
        ("a link", |from, to| fs::hard_link(from, to)),
        ("a symbolic link", |from, to| symlink(from, to)),
        ("a folder", |_, to| fs::create_dir(to)),
    ];
    for (way, put) in ways {
        let before = fs::read(&of_a).unwrap();
        put(&of_a, &of_b).unwrap();
        let refused = read(&folder, b).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code()),
            (StoreErrorKind::Foreign, "SF0718"),
            "{way}: {refused:?}"
        );
        let mine = (0..3).map(row).collect::<Vec<_>>();
        assert_eq!(read(&folder, a).await.unwrap(), mine, "{way}");
        assert!(fs::read(&of_a).unwrap() == before, "{way}");
        match way {
            "a folder" => fs::remove_dir(&of_b).unwrap(),
            _ => fs::remove_file(&of_b).unwrap(),
        }
    }
    // A link to nothing is not followed to make a file elsewhere.
    let elsewhere = folder.path().join("elsewhere");
    symlink(&elsewhere, &of_b).unwrap();
    let store = open(folder.path()).unwrap();
    let refused = shelf(&store, b).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Foreign);
    assert!(!elsewhere.exists());
}

#[tokio::test]
async fn what_is_said_of_a_file_of_another_org() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (org(), org());
    filled(&folder, &[a]).await;
    fs::copy(file(&folder, a), file(&folder, b)).unwrap();
    let refused = read(&folder, b).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "SF0718: store, looking whose a file is: the file is another org's, or no file at all; put back the one that belongs there, or take it away"
    );
}

/// Somebody has made the file say that it is theirs, or has moved rows into it or between its tables.
#[tokio::test]
async fn a_row_of_another_org_or_table_is_not_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (org(), org());
    filled(&folder, &[a, b]).await;
    let attach = format!("ATTACH '{}' AS other", file(&folder, a).display());
    for (change, kind) in [
        (
            "UPDATE owner SET org = (SELECT org FROM other.owner)",
            StoreErrorKind::Foreign,
        ),
        (
            "DELETE FROM documents; INSERT INTO documents SELECT * FROM other.documents",
            StoreErrorKind::Corrupt,
        ),
        (
            "DELETE FROM documents; INSERT INTO documents SELECT * FROM runs",
            StoreErrorKind::Corrupt,
        ),
        ("DELETE FROM owner", StoreErrorKind::Corrupt),
        ("DROP TABLE owner", StoreErrorKind::Corrupt),
    ] {
        let copy = fs::read(file(&folder, b)).unwrap();
        // What is a row of another table is one with a right checksum there.
        if change.ends_with("FROM runs") {
            let store = open(folder.path()).unwrap();
            let put = Write::Put {
                class: Class::Runs,
                row: row(7),
            };
            let shelf = shelf(&store, b).await.unwrap();
            assert!(shelf.commit(vec![put]).await.unwrap());
            store.close().await;
        }
        let into_b = Connection::open(file(&folder, b)).unwrap();
        into_b.execute_batch(&attach).unwrap();
        into_b.execute_batch(change).unwrap();
        into_b.close().unwrap();
        let refused = read(&folder, b).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{change}: {refused:?}");
        fs::write(file(&folder, b), copy).unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("data");
    fs::create_dir(&inside).unwrap();
    for (mode, is_refused) in [
        (0o700, false),
        (0o755, false),
        (0o775, true),
        (0o757, true),
        (0o1777, true),
    ] {
        fs::set_permissions(&inside, fs::Permissions::from_mode(mode)).unwrap();
        let opened = open(&inside);
        assert_eq!(opened.is_err(), is_refused, "{mode:o}");
        if let Err(refused) = opened {
            assert_eq!(refused.kind(), StoreErrorKind::Exposed);
            assert_eq!(
                refused.to_string(),
                "SF0719: store, looking at the folder: others may write to the folder; take that right from them (`chmod go-w`), or give the program a folder of its own"
            );
            let cause = refused.source().unwrap().to_string();
            assert_eq!(cause, format!("its mode is {mode:o}"));
        }
    }
}

/// As version 1 made it: without a word on whose it is, and checksums without one.
fn older(path: &Path, rows: &[(Row, Option<UserId>)]) {
    let old = Connection::open(path).unwrap();
    old.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = 0x53465354;")
        .unwrap();
    for class in Class::ALL {
        let name = class.as_str();
        old.execute_batch(&format!(
            "CREATE TABLE {name} (\
               key TEXT PRIMARY KEY NOT NULL, user TEXT, at INTEGER NOT NULL, until INTEGER, \
               version INTEGER NOT NULL, body TEXT NOT NULL, sum BLOB NOT NULL) STRICT;\
             CREATE INDEX {name}_user ON {name} (user, key) WHERE user IS NOT NULL;\
             CREATE INDEX {name}_until ON {name} (until) WHERE until IS NOT NULL;"
        ))
        .unwrap();
    }
    for (row, user) in rows {
        let user = user.map(|user| user.to_string());
        let mut hash = Sha256::new();
        for text in [&*row.key, user.as_deref().unwrap_or(""), &row.body] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        for number in [row.at, row.until.unwrap_or(u64::MAX), 0] {
            hash.update(number.to_be_bytes());
        }
        let sum = &hash.finalize()[..8];
        let values = rusqlite::params![row.key, user, row.at, row.until, row.body, sum];
        old.execute(
            "INSERT INTO documents VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
            values,
        )
        .unwrap();
    }
    old.pragma_update(None, "user_version", 1).unwrap();
    old.close().unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_and_is_its_orgs_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (org(), org());
    let user = UserId::generate(&SystemIds::new());
    let late = row(1).until(u64::MAX >> 1);
    older(
        &file(&folder, a),
        &[(row(0), None), (late.clone(), Some(user)), (row(2), None)],
    );
    let wanted = vec![row(0), late.about(user), row(2)];
    for _ in 0..2 {
        assert_eq!(read(&folder, a).await.unwrap(), wanted);
    }
    fs::copy(file(&folder, a), file(&folder, b)).unwrap();
    let refused = read(&folder, b).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Foreign);
}

#[tokio::test]
async fn what_was_wrong_in_a_file_of_the_first_version_stays_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let org = org();
    older(&file(&folder, org), &[(row(0), None), (row(1), None)]);
    let old = Connection::open(file(&folder, org)).unwrap();
    old.execute_batch("UPDATE documents SET body = 'another' WHERE key = '001'")
        .unwrap();
    old.close().unwrap();
    let store = open(folder.path()).unwrap();
    let shelf = shelf(&store, org).await.unwrap();
    assert_eq!(shelf.get(CLASS, "000").await.unwrap(), Some(row(0)));
    let refused = shelf.get(CLASS, "001").await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Corrupt);
}

/// A process that is killed while it makes files leaves some that were never given a name.
#[tokio::test]
async fn what_a_killed_creator_left_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let org = org();
    let whole = file(&folder, org);
    filled(&folder, &[org]).await;
    let beside = |end: &str| whole.with_extension(format!("db{end}"));
    let left = [
        ".0123456789abcdef.new",
        ".new",
        ".new-journal",
        ".7.new-wal",
    ]
    .map(beside);
    for left in &left {
        fs::write(left, "half").unwrap();
    }
    // Not while somebody makes one.
    let lock = fs::File::open(folder.path()).unwrap();
    lock.lock_shared().unwrap();
    open(folder.path()).unwrap().close().await;
    assert!(left.iter().all(|left| left.exists()));
    drop(lock);
    open(folder.path()).unwrap().close().await;
    assert!(!left.iter().any(|left| left.exists()));
    assert_eq!(read(&folder, org).await.unwrap().len(), 3);
}
