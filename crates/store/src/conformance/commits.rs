//! What a commit does.

use super::bench::{Bench, Found, commits, delete, expect, holds, insert, put, swap, text, user};
use crate::{Class, Row, Scan, Store, StoreErrorKind, Write};

const CLASS: Class = Class::Documents;

pub(super) async fn given_back<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let long = "é".repeat(127) + "x";
    let bodies = ["{}", "\"a\\u0000b\"", "\u{10ffff}\u{1}\n\r\t'\"\\", " "];
    for (number, body) in bodies.into_iter().enumerate() {
        for key in ["k", "\u{1}", "a/b c'\"\\%_", &long] {
            let now = bench.clock.millis();
            let row = Row::new(key, number as u64 * 77, body)
                .about(Some(user()))
                .until(now + 1_000);
            commits(&*shelf, vec![put(CLASS, &row)], true).await?;
            let got = shelf.get(CLASS, key).await.map_err(text)?;
            let version = number as u64;
            expect("the row", &got, &Some(Row { version, ..row }))?;
        }
    }
    let last = i64::MAX.unsigned_abs();
    let row = Row::new("bare", last, "x");
    commits(&*shelf, vec![insert(CLASS, &row)], true).await?;
    expect(
        "the row",
        &shelf.get(CLASS, "bare").await.map_err(text)?,
        &Some(row),
    )
}

pub(super) async fn all_or_nothing<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let there = Row::new("there", 1, "before");
    commits(&*shelf, vec![insert(CLASS, &there)], true).await?;
    let unmet = [
        insert(CLASS, &Row::new("there", 2, "after")),
        swap(CLASS, &Row::new("there", 2, "after"), 1),
        swap(CLASS, &Row::new("nowhere", 2, "after"), 0),
    ];
    for condition in unmet {
        for place in 0..=4 {
            let mut writes = vec![
                put(Class::Runs, &Row::new("a", 2, "after")),
                insert(CLASS, &Row::new("b", 2, "after")),
                put(CLASS, &Row::new("there", 2, "after")),
                delete(CLASS, "other"),
            ];
            // Where the row itself was written before, the swap is about another version.
            if place >= 3 && matches!(&condition, Write::Swap { row, .. } if row.key == "there") {
                writes.truncate(2);
            }
            writes.insert(place.min(writes.len()), condition.clone());
            commits(&*shelf, writes, false).await?;
            holds(&*shelf, Class::Runs, "a", None).await?;
            holds(&*shelf, CLASS, "b", None).await?;
            holds(&*shelf, CLASS, "there", Some(("before", 0))).await?;
        }
    }
    commits(&*shelf, Vec::new(), true).await
}

pub(super) async fn in_order<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let row = |body: &str| Row::new("k", 1, body);
    let writes = vec![insert(CLASS, &row("1")), swap(CLASS, &row("2"), 0)];
    commits(&*shelf, writes, true).await?;
    holds(&*shelf, CLASS, "k", Some(("2", 1))).await?;
    let writes = vec![put(CLASS, &row("3")), swap(CLASS, &row("4"), 1)];
    commits(&*shelf, writes, false).await?;
    let writes = vec![delete(CLASS, "k"), insert(CLASS, &row("5"))];
    commits(&*shelf, writes, true).await?;
    holds(&*shelf, CLASS, "k", Some(("5", 0))).await?;
    let writes = vec![delete(CLASS, "k"), swap(CLASS, &row("6"), 0)];
    commits(&*shelf, writes, false).await?;
    let twice = Row::new("l", 1, "x");
    commits(
        &*shelf,
        vec![insert(CLASS, &twice), insert(CLASS, &twice)],
        false,
    )
    .await?;
    holds(&*shelf, CLASS, "l", None).await?;
    holds(&*shelf, CLASS, "k", Some(("5", 0))).await
}

pub(super) async fn versions<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    // What the caller says of the version does not count.
    let row = |body: &str| Row {
        version: 77,
        ..Row::new("k", 1, body)
    };
    commits(&*shelf, vec![put(CLASS, &row("0"))], true).await?;
    holds(&*shelf, CLASS, "k", Some(("0", 0))).await?;
    commits(&*shelf, vec![put(CLASS, &row("1"))], true).await?;
    holds(&*shelf, CLASS, "k", Some(("1", 1))).await?;
    for seen in [0, 2, 77, u64::MAX] {
        commits(&*shelf, vec![swap(CLASS, &row("x"), seen)], false).await?;
    }
    commits(&*shelf, vec![swap(CLASS, &row("2"), 1)], true).await?;
    holds(&*shelf, CLASS, "k", Some(("2", 2))).await?;
    commits(&*shelf, vec![insert(CLASS, &row("x"))], false).await?;
    holds(&*shelf, CLASS, "k", Some(("2", 2))).await
}

pub(super) async fn deletes<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    commits(&*shelf, vec![delete(CLASS, "k")], true).await?;
    let row = Row::new("k", 1, "x");
    commits(&*shelf, vec![insert(CLASS, &row)], true).await?;
    commits(&*shelf, vec![put(CLASS, &row)], true).await?;
    commits(&*shelf, vec![delete(CLASS, "k"), delete(CLASS, "k")], true).await?;
    holds(&*shelf, CLASS, "k", None).await?;
    let rows = shelf.scan(Scan::of(CLASS)).await.map_err(text)?;
    expect("rows after the deletion", &rows.len(), &0)?;
    commits(&*shelf, vec![swap(CLASS, &row, 1)], false).await?;
    commits(&*shelf, vec![insert(CLASS, &row)], true).await?;
    holds(&*shelf, CLASS, "k", Some(("x", 0))).await
}

pub(super) async fn refused<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let good = insert(CLASS, &Row::new("good", 1, "x"));
    let too_long = "é".repeat(128);
    let huge = "x".repeat(Row::MAX_BODY + 1);
    let late = i64::MAX.unsigned_abs() + 1;
    let bad = [
        put(CLASS, &Row::new("", 1, "x")),
        put(CLASS, &Row::new(&*too_long, 1, "x")),
        put(CLASS, &Row::new("a\0b", 1, "x")),
        put(CLASS, &Row::new("k", 1, "")),
        put(CLASS, &Row::new("k", 1, "a\0b")),
        put(CLASS, &Row::new("k", 1, huge)),
        put(CLASS, &Row::new("k", late, "x")),
        put(CLASS, &Row::new("k", 1, "x").until(late)),
        delete(CLASS, ""),
        delete(CLASS, &too_long),
    ];
    let mut all: Vec<Vec<Write>> = bad.into_iter().map(|bad| vec![good.clone(), bad]).collect();
    all.push(vec![good; Write::MOST + 1]);
    for writes in all {
        let what = format!("{:.200?}", writes.last());
        let kind = shelf.commit(writes).await.map_err(|error| error.kind());
        expect(&what, &kind, &Err(StoreErrorKind::Invalid))?;
        holds(&*shelf, CLASS, "good", None).await?;
    }
    let got = shelf.get(CLASS, "").await.map_err(|error| error.kind());
    expect("an empty key", &got, &Err(StoreErrorKind::Invalid))
}

pub(super) async fn large<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let body = "é".repeat(512 << 10);
    let row = Row::new("large", 1, &*body);
    commits(&*shelf, vec![insert(CLASS, &row)], true).await?;
    let got = shelf.get(CLASS, "large").await.map_err(text)?;
    let is_same = got.is_some_and(|row| row.body == body);
    expect("the body is the same", &is_same, &true)?;
    let row = |number: usize| insert(Class::Events, &Row::new(format!("{number:05}"), 1, "x"));
    commits(&*shelf, (0..Write::MOST).map(row).collect(), true).await?;
    let scan = Scan::of(Class::Events).most(Scan::MOST);
    let rows = shelf.scan(scan).await.map_err(text)?;
    expect("rows", &rows.len(), &Write::MOST)
}

pub(super) async fn classes<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let row = |class: Class| Row::new("k", 1, class.as_str());
    for class in Class::ALL {
        commits(&*shelf, vec![insert(class, &row(class))], true).await?;
    }
    for class in Class::ALL {
        holds(&*shelf, class, "k", Some((class.as_str(), 0))).await?;
        let rows = shelf.scan(Scan::of(class)).await.map_err(text)?;
        expect("rows of a class", &rows, &vec![row(class)])?;
    }
    commits(&*shelf, vec![delete(Class::Runs, "k")], true).await?;
    holds(&*shelf, Class::Runs, "k", None).await?;
    holds(&*shelf, Class::Events, "k", Some(("events", 0))).await
}
