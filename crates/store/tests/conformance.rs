//! The stores do what stores must.

#![cfg(test)]

use std::num::NonZeroUsize;

use stageflow_store::{MemoryStore, SqliteOptions, SqliteStore, conformance};

const ROWS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

#[tokio::test(flavor = "current_thread")]
async fn the_store_in_memory() {
    conformance::check(async |clock| MemoryStore::with(ROWS, clock)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    conformance::check(async |clock| {
        SqliteStore::open(folder, SqliteOptions::new().wall_clock(clock)).unwrap()
    })
    .await;
}

/// One thread for all, and one file open at a time: whatever is done needs another one.
#[tokio::test(flavor = "current_thread")]
async fn the_store_of_files_with_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    conformance::check(async |clock| {
        let one = NonZeroUsize::MIN;
        let options = SqliteOptions::new()
            .files(one)
            .readers(one)
            .writers(one)
            .waiting(one);
        SqliteStore::open(folder, options.wall_clock(clock)).unwrap()
    })
    .await;
}
