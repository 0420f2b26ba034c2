//! Many at once.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{join, join_all};
use tokio::task::yield_now;

use super::bench::{Bench, Dice, Found, commits, expect, insert, put, swap, text};
use crate::{Class, Row, Scan, Shelf, Store, StoreError};

const CLASS: Class = Class::Upkeep;

async fn increment(shelf: &dyn Shelf) -> Found {
    loop {
        let row = shelf.get(CLASS, "count").await.map_err(text)?;
        let row = row.ok_or("the count is gone")?;
        let count: u64 = row.body.parse().map_err(|error| format!("{error}"))?;
        let next = Row::new("count", 1, (count + 1).to_string());
        let swapped = shelf.commit(vec![swap(CLASS, &next, row.version)]).await;
        if swapped.map_err(text)? {
            return Ok(());
        }
        yield_now().await;
    }
}

pub(super) async fn increments<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let zero = Row::new("count", 1, "0");
    commits(&*shelf, vec![insert(CLASS, &zero)], true).await?;
    let many = join_all((0..16).map(async |_| {
        for _ in 0..12 {
            increment(&*shelf).await?;
        }
        Found::Ok(())
    }));
    many.await.into_iter().collect::<Found>()?;
    let row = shelf.get(CLASS, "count").await.map_err(text)?;
    let got = row.map(|row| (row.body, row.version));
    expect("the count", &got, &Some(("192".to_owned(), 192)))
}

pub(super) async fn one_insert<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    for round in 0..8 {
        let row = |number: usize| Row::new(format!("r{round}"), 1, number.to_string());
        let all = (0..16).map(|number| shelf.commit(vec![insert(CLASS, &row(number))]));
        let all: Result<Vec<bool>, StoreError> = join_all(all).await.into_iter().collect();
        let all = all.map_err(text)?;
        let count = all.iter().filter(|met| **met).count();
        expect("16 who insert, so many did", &count, &1)?;
        let winner = all.iter().position(|met| *met).unwrap_or_default();
        let held = shelf.get(CLASS, &format!("r{round}")).await.map_err(text)?;
        let held = held.map(|row| row.body);
        expect("whose it is", &held, &Some(winner.to_string()))?;
    }
    Ok(())
}

/// Polls a future so often, at most, and drops it.
async fn begin<T>(future: impl Future<Output = T>, polls: u64) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| {
            let is_ready = Pin::new(&mut future).poll(cx).is_ready();
            Poll::Ready(is_ready)
        });
        if polled.await {
            return;
        }
        yield_now().await;
    }
}

pub(super) async fn dropped<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let mut dice = Dice::new(bench.seed);
    for round in 0..60 {
        let row = |name: &str| put(CLASS, &Row::new(format!("{round:02}/{name}"), 1, "x"));
        let writes = vec![row("a"), row("b"), row("c")];
        begin(shelf.commit(writes), dice.below(6)).await;
        begin(shelf.get(CLASS, "00/a"), dice.below(3)).await;
        // Those that go on meanwhile are not disturbed.
        commits(
            &*shelf,
            vec![put(Class::Runs, &Row::new("k", 1, "x"))],
            true,
        )
        .await?;
        for at in 0..=round {
            let scan = Scan::of(CLASS).starting_with(format!("{at:02}/"));
            let count = shelf.scan(scan).await.map_err(text)?.len();
            if count != 0 && count != 3 {
                let seed = bench.seed;
                return Err(format!("{count} rows of 3 are there, with the seed {seed}"));
            }
        }
    }
    Ok(())
}

pub(super) async fn whole<S: Store>(bench: &Bench<S>) -> Found {
    let shelf = bench.shelf().await?;
    let write = async {
        for number in 0..60 {
            let row = |key: &str| put(CLASS, &Row::new(key, 1, number.to_string()));
            commits(&*shelf, ["a", "b", "c", "d"].map(row).into(), true).await?;
            yield_now().await;
        }
        Found::Ok(())
    };
    let read = async {
        for _ in 0..60 {
            let rows = shelf.scan(Scan::of(CLASS)).await.map_err(text)?;
            let bodies: Vec<&str> = rows.iter().map(|row| &*row.body).collect();
            let is_whole = bodies.windows(2).all(|two| two[0] == two[1]);
            if !is_whole || ![0, 4].contains(&bodies.len()) {
                return Err(format!("a scan gave {bodies:?}"));
            }
            yield_now().await;
        }
        Ok(())
    };
    let (wrote, read) = join(write, read).await;
    wrote.and(read)
}
