//! What is measured of every store.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::json;
use stageflow_context::{OrgId, RunId, SealKey, SealKeys, SystemIds, UserId};
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    AuditDraft, AuditTrail, Class, Erasure, Row, Shelf, Store, StoreError, Write,
};
use tokio::time::Instant;

pub(crate) const CLASS: Class = Class::Events;

/// How many rows are erased, and how many entries are verified.
const ERASED: usize = 10_000;
const ENTRIES: usize = 100_000;

fn event(writer: usize, number: usize) -> Write {
    let row = Row::new(format!("{writer:04}.{number:08}"), 1, "x".repeat(256));
    Write::Put { class: CLASS, row }
}

/// Says how long one of `count` took.
pub(crate) fn say(what: &str, count: usize, took: Duration) {
    let each = took.as_secs_f64() * 1e6 / count as f64;
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<52} {each:>9.1} us {rate:>10.0} /s");
}

/// Says how long all of it took.
pub(crate) fn say_all(what: &str, took: Duration) {
    println!("{what:<52} {:>9.0} ms", took.as_secs_f64() * 1e3);
}

/// So many writers, each of which waits for its commits one by one.
pub(crate) async fn write(
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

/// The shelf of a new org, with one row.
pub(crate) async fn fresh(store: &dyn Store) -> Result<Arc<dyn Shelf>, StoreError> {
    let org = OrgId::generate(&SystemIds::new());
    let shelf = store.open(&scope_of(org, None)).await?;
    shelf.commit(vec![event(9_999, 0)]).await?;
    Ok(shelf)
}

/// So many writers of one org, who commit so many events at a time.
pub(crate) async fn commits(
    store: &dyn Store,
    shapes: &[(usize, usize, usize)],
) -> Result<(), Box<dyn Error>> {
    for (writers, commits, events) in shapes.iter().copied() {
        let shelf = fresh(store).await?;
        let start = Instant::now();
        write(&*shelf, writers, commits, events).await?;
        let what = format!("{writers} writers, {events} events a commit: event");
        say(&what, writers * commits * events, start.elapsed());
    }
    Ok(())
}

/// One row, again and again, and pages of a thousand.
pub(crate) async fn reads(store: &dyn Store) -> Result<(), Box<dyn Error>> {
    let shelf = fresh(store).await?;
    write(&*shelf, 1, 20, 500).await?;
    let start = Instant::now();
    for number in 0..5_000 {
        let found = shelf.get(CLASS, &format!("0000.{:08}", number * 2)).await?;
        assert!(found.is_some());
    }
    say("one row read", 5_000, start.elapsed());
    let start = Instant::now();
    for _ in 0..50 {
        let rows = shelf.scan(stageflow_store::Scan::of(CLASS)).await?;
        assert_eq!(rows.len(), 1_000);
    }
    say("a thousand rows scanned: row", 50_000, start.elapsed());
    Ok(())
}

pub(crate) fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(1, [17; 32]))
}

/// Appends to a trail, and looks whether all of it is as it was.
pub(crate) async fn audit(store: &dyn Store) -> Result<(), Box<dyn Error>> {
    let trail = AuditTrail::new(fresh(store).await?, keys());
    let draft = |n: usize| {
        let draft = AuditDraft::new("tenant.member_added").by("ada@acme");
        draft.because("a ticket").details(json!({ "number": n }))
    };
    let start = Instant::now();
    for n in 0..200 {
        trail.append(vec![draft(n)]).await?;
    }
    say("audit, one at a time: entry", 200, start.elapsed());
    let start = Instant::now();
    let first = 200;
    for n in (first..ENTRIES).step_by(500) {
        let end = (n + 500).min(ENTRIES);
        trail.append((n..end).map(draft).collect()).await?;
    }
    say(
        "audit, 500 at a time: entry",
        ENTRIES - first,
        start.elapsed(),
    );
    let start = Instant::now();
    assert_eq!(trail.verify().await?.entries, ENTRIES as u64);
    say(
        "audit verified, 100 000 entries: entry",
        ENTRIES,
        start.elapsed(),
    );
    Ok(())
}

/// Erases a user with so many rows of five classes, among as many of somebody else.
pub(crate) async fn erase(store: impl Store + Clone) -> Result<(), Box<dyn Error>> {
    let ids = SystemIds::new();
    let (org, gone, other) = (
        OrgId::generate(&ids),
        UserId::generate(&ids),
        UserId::generate(&ids),
    );
    let scope = scope_of(org, None);
    let shelf = store.open(&scope).await?;
    let classes = [
        Class::Answers,
        Class::Approvals,
        Class::Documents,
        Class::Events,
        Class::Runs,
    ];
    for class in classes {
        let row = |user| {
            let body = json!({ "said": "x".repeat(256) }).to_string();
            Row::new(RunId::generate(&ids).to_string(), 1, body).about(user)
        };
        let rows = (0..ERASED / classes.len()).flat_map(|_| [gone, other].map(row));
        let rows = rows.map(|row| Write::Insert { class, row });
        shelf.commit(rows.collect()).await?;
    }
    let start = Instant::now();
    let receipt = Erasure::new(store, keys()).erase(&scope, gone).await?;
    let took = start.elapsed();
    assert_eq!(receipt.rows(Class::Runs), (ERASED / classes.len()) as u64);
    say_all("a user with 10 000 rows erased", took);
    Ok(())
}
