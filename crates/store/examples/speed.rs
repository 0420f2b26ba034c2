//! What a store of files costs on this machine: `cargo run --release -p stageflow-store --example speed --features testing`.
//!
//! A row has the size of an event, 256 bytes. A commit is on the disk when it counts.

#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use stageflow_context::{OrgId, SystemIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Class, Row, Scan, Shelf, SqliteOptions, SqliteStore, Store, StoreError, Write,
};
use tokio::time::Instant;

const CLASS: Class = Class::Events;

fn event(writer: usize, number: usize) -> Write {
    let row = Row::new(format!("{writer:04}.{number:08}"), 1, "x".repeat(256));
    Write::Put { class: CLASS, row }
}

/// Says how long one of `count` took.
fn say(what: &str, count: usize, took: Duration) {
    let each = took.as_secs_f64() * 1e6 / count as f64;
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<44} {each:>9.1} us {rate:>10.0} /s");
}

/// So many writers, each of which waits for its commits one by one.
async fn write(
    shelf: &dyn Shelf,
    writers: usize,
    commits: usize,
    events: usize,
) -> Result<(), StoreError> {
    let all = (0..writers).map(async |writer| {
        for commit in 0..commits {
            let first = commit * events;
            let writes = (first..first + events).map(|number| event(writer, number));
            shelf.commit(writes.collect()).await?;
        }
        Ok::<(), StoreError>(())
    });
    try_join_all(all).await.map(drop)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path(), SqliteOptions::new())?;
    for (writers, commits, events) in [
        (1, 500, 1),
        (16, 100, 1),
        (64, 50, 1),
        (256, 20, 1),
        (1, 100, 100),
        (8, 50, 100),
    ] {
        let shelf = store
            .open(&scope_of(OrgId::generate(&SystemIds::new()), None))
            .await?;
        shelf.commit(vec![event(9_999, 0)]).await?;
        let start = Instant::now();
        write(&*shelf, writers, commits, events).await?;
        let what = format!("{writers} writers, {events} events a commit: event");
        say(&what, writers * commits * events, start.elapsed());
    }
    let shelf: Arc<dyn Shelf> = store
        .open(&scope_of(OrgId::generate(&SystemIds::new()), None))
        .await?;
    write(&*shelf, 1, 20, 500).await?;
    let start = Instant::now();
    for number in 0..5_000 {
        let found = shelf.get(CLASS, &format!("0000.{:08}", number * 2)).await?;
        assert!(found.is_some());
    }
    say("one row read", 5_000, start.elapsed());
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(shelf.scan(Scan::of(CLASS)).await?.len(), 1_000);
    }
    say("a thousand rows scanned: row", 50_000, start.elapsed());
    store.close().await;
    Ok(())
}
