//! What a scan gives.

use stageflow_context::UserId;

use super::bench::{Bench, Found, commits, expect, insert, keys, text, user};
use crate::{Class, Row, Scan, Shelf, Store, StoreErrorKind};

const CLASS: Class = Class::Events;

/// Keys that are easily put in another order, or taken for patterns.
const ODD: [&str; 22] = [
    "!",
    "%",
    "%a",
    "A",
    "B",
    "Z",
    "_",
    "_a",
    "a",
    "a b",
    "a%",
    "a-b",
    "a.b",
    "a/b",
    "a_b",
    "aB",
    "ab",
    "b",
    "~",
    "é",
    "\u{ffff}",
    "\u{10000}",
];

async fn keep(shelf: &dyn Shelf, keys: &[&str]) -> Found {
    for key in keys.iter().rev() {
        commits(shelf, vec![insert(CLASS, &Row::new(*key, 1, "x"))], true).await?;
    }
    Ok(())
}

async fn ask(shelf: &dyn Shelf, scan: Scan) -> Result<Vec<Row>, String> {
    shelf.scan(scan).await.map_err(text)
}

pub(super) async fn order<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    keep(&*shelf, &ODD).await?;
    let rows = ask(&*shelf, Scan::of(CLASS)).await?;
    let mut right = ODD.to_vec();
    right.sort_unstable_by_key(|key| key.as_bytes());
    expect("the keys", &keys(&rows), &right)
}

pub(super) async fn prefixes<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    keep(&*shelf, &ODD).await?;
    for prefix in ODD.into_iter().chain(["", "a\\", "'", "\u{10ffff}", "c"]) {
        let rows = ask(&*shelf, Scan::of(CLASS).starting_with(prefix)).await?;
        let mut right: Vec<&str> = ODD
            .into_iter()
            .filter(|key| key.starts_with(prefix))
            .collect();
        right.sort_unstable();
        expect(&format!("the keys after {prefix:?}"), &keys(&rows), &right)?;
    }
    Ok(())
}

pub(super) async fn pages<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    keep(&*shelf, &ODD).await?;
    for prefix in ["", "a"] {
        for size in [1, 2, 5, 100] {
            let mut got = Vec::new();
            let mut after = None;
            loop {
                let scan = Scan::of(CLASS)
                    .starting_with(prefix)
                    .after(after)
                    .most(size);
                let rows = ask(&*shelf, scan).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.key.clone());
                got.extend(rows.into_iter().map(|row| row.key));
                if got.len() > ODD.len() {
                    break;
                }
            }
            let mut right: Vec<&str> = ODD
                .into_iter()
                .filter(|key| key.starts_with(prefix))
                .collect();
            right.sort_unstable();
            let got: Vec<&str> = got.iter().map(String::as_str).collect();
            expect(&format!("pages of {size} after {prefix:?}"), &got, &right)?;
        }
    }
    // A key that is not there is a place, too.
    let rows = ask(&*shelf, Scan::of(CLASS).after("aa".to_owned()).most(2)).await?;
    expect("after `aa`", &keys(&rows), &vec!["ab", "b"])?;
    let rows = ask(
        &*shelf,
        Scan::of(CLASS).starting_with("b").after("a".to_owned()),
    )
    .await?;
    expect("after what is before the prefix", &keys(&rows), &vec!["b"])?;
    let rows = ask(
        &*shelf,
        Scan::of(CLASS).starting_with("a").after("b".to_owned()),
    )
    .await?;
    expect("after what is behind the prefix", &rows.len(), &0)
}

pub(super) async fn filters<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let (one, two) = (user(), user());
    let whose = [Some(one), Some(two), None];
    let row = |number: usize| {
        Row::new(format!("{:02}", number % 60), (number % 7) as u64 * 10, "x")
            .about(whose[number % 3])
    };
    for number in 0..60 {
        commits(&*shelf, vec![insert(CLASS, &row(number))], true).await?;
    }
    let users: [Option<UserId>; 4] = [None, Some(one), Some(two), Some(user())];
    for about in users {
        for before in [None, Some(0), Some(30), Some(31), Some(1_000)] {
            let scan = Scan::of(CLASS)
                .about(about)
                .before(before)
                .starting_with("1");
            let rows = ask(&*shelf, scan).await?;
            let right: Vec<Row> = (10..20)
                .map(row)
                .filter(|row| about.is_none() || row.user == about)
                .filter(|row| before.is_none_or(|before| row.at < before))
                .collect();
            expect(&format!("about {about:?} before {before:?}"), &rows, &right)?;
        }
    }
    Ok(())
}

pub(super) async fn most<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    keep(&*shelf, &ODD).await?;
    for most in [0, 1, 21, 22, 23, Scan::MOST] {
        let rows = ask(&*shelf, Scan::of(CLASS).most(most)).await?;
        let right = ODD.len().min(most as usize);
        expect(&format!("at most {most}"), &rows.len(), &right)?;
    }
    let too_much = shelf.scan(Scan::of(CLASS).most(Scan::MOST + 1)).await;
    let kind = too_much.map_err(|error| error.kind());
    expect("too many at once", &kind, &Err(StoreErrorKind::Invalid))
}
