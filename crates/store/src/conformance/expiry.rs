//! Rows whose time is over.

use super::bench::{Bench, Found, commits, delete, expect, holds, insert, keys, put, swap, text};
use crate::{Class, Row, Scan, Store};

const CLASS: Class = Class::Answers;

pub(super) async fn as_absent<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let now = bench.clock.millis();
    let row = |key: &str, body: &str| Row::new(key, now, body).until(now + 100);
    for key in ["a", "b", "c", "d"] {
        commits(&*shelf, vec![insert(CLASS, &row(key, "old"))], true).await?;
        commits(&*shelf, vec![put(CLASS, &row(key, "old"))], true).await?;
    }
    bench.clock.advance(99);
    for key in ["a", "b", "c", "d"] {
        holds(&*shelf, CLASS, key, Some(("old", 1))).await?;
    }
    commits(&*shelf, vec![insert(CLASS, &row("a", "new"))], false).await?;
    bench.clock.advance(1);
    for key in ["a", "b", "c", "d"] {
        holds(&*shelf, CLASS, key, None).await?;
    }
    let rows = shelf.scan(Scan::of(CLASS)).await.map_err(text)?;
    expect("rows", &rows.len(), &0)?;
    let new = |key: &str| Row::new(key, now, "new");
    commits(&*shelf, vec![swap(CLASS, &new("a"), 1)], false).await?;
    commits(&*shelf, vec![insert(CLASS, &new("b"))], true).await?;
    holds(&*shelf, CLASS, "b", Some(("new", 0))).await?;
    commits(&*shelf, vec![put(CLASS, &new("c"))], true).await?;
    holds(&*shelf, CLASS, "c", Some(("new", 0))).await?;
    commits(&*shelf, vec![delete(CLASS, "d")], true).await?;
    // A row that is over when it is written is not there, and is in nobody's way.
    let over = Row::new("e", now, "over").until(now);
    commits(
        &*shelf,
        vec![insert(CLASS, &over), insert(CLASS, &over)],
        true,
    )
    .await?;
    holds(&*shelf, CLASS, "e", None).await
}

pub(super) async fn not_counted<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let now = bench.clock.millis();
    for number in 0..40 {
        let until = (number % 2 == 0).then_some(now + 10);
        let row = Row::new(format!("{number:02}"), now, "x").until(until);
        commits(&*shelf, vec![insert(CLASS, &row)], true).await?;
    }
    bench.clock.advance(10);
    let rows = shelf.scan(Scan::of(CLASS).most(3)).await.map_err(text)?;
    expect("the first rows", &keys(&rows), &vec!["01", "03", "05"])?;
    let scan = Scan::of(CLASS).after("35".to_owned());
    let rows = shelf.scan(scan).await.map_err(text)?;
    expect("the last rows", &keys(&rows), &vec!["37", "39"])
}

pub(super) async fn scrubbed<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    // Nothing is there, not even a file.
    shelf.scrub().await.map_err(text)?;
    let now = bench.clock.millis();
    let kept = Row::new("kept", now, "x").until(now + 11);
    let over = Row::new("over", now, "x").until(now + 10);
    let other = Row::new("other", now, "x");
    let writes = [&kept, &over, &other].map(|row| insert(CLASS, row));
    commits(&*shelf, writes.into(), true).await?;
    bench.clock.advance(10);
    shelf.scrub().await.map_err(text)?;
    let rows = shelf.scan(Scan::of(CLASS)).await.map_err(text)?;
    expect("what is left", &rows, &vec![kept, other])
}
