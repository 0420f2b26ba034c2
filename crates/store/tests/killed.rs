//! A process that is killed while it writes loses nothing that it was told is kept.

#![cfg(test)]

mod killing;

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;

use stageflow_context::{IdSource as _, OrgId, SeededIds, SystemIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{Check, Class, Row, Scan, Shelf, SqliteOptions, SqliteStore, Store, Write};

use crate::killing::{PLACE, ROUND, killed_after};

const ROUNDS: u64 = 20;
/// What one commit writes, in two tables.
const CLASSES: [Class; 2] = [Class::Events, Class::Runs];

/// Two orgs that are there in every round, and one that is new.
fn orgs(round: u64) -> [OrgId; 3] {
    [1, 2, 100 + round].map(|seed| OrgId::generate(&SeededIds::new(seed)))
}

fn body(key: &str) -> String {
    let length = key.bytes().map(usize::from).sum::<usize>() * 7 % 3_000;
    format!("{key}:{}", "z".repeat(length))
}

async fn shelf(store: &SqliteStore, org: OrgId) -> Arc<dyn Shelf> {
    store.open(&scope_of(org, None)).await.unwrap()
}

/// Writes until it is killed, and says what it was told is kept. Started by the other test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes until it is killed"]
async fn writes_for_ever() {
    let (Ok(folder), Ok(round)) = (std::env::var(PLACE), std::env::var(ROUND)) else {
        return;
    };
    let round: u64 = round.parse().unwrap();
    let store = SqliteStore::open(folder, SqliteOptions::new()).unwrap();
    let (place, writers) = (0..orgs(round).len(), 8);
    let all = place.flat_map(|place| (0..writers).map(move |writer| (place, writer)));
    let all = all.map(async |(place, writer)| {
        let shelf = shelf(&store, orgs(round)[place]).await;
        for number in 0_u32.. {
            let key = format!("{round:02}/{writer}/{number:06}");
            let put = |class| Write::Put {
                class,
                row: Row::new(&*key, 1, body(&key)),
            };
            if shelf.commit(CLASSES.map(put).into()).await.unwrap() {
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nkept {place} {key}").unwrap();
                out.flush().unwrap();
            }
        }
    });
    futures_util::future::join_all(all).await;
}

/// Where something is kept, and under which key. `None` for another line, or one that was cut.
fn read(line: &str) -> Option<(usize, String)> {
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("kept"), Some(place), Some(key)) if key.len() == "00/0/000000".len() => {
            Some((place.parse().unwrap(), key.to_owned()))
        }
        _ => None,
    }
}

async fn all_keys(shelf: &dyn Shelf, class: Class) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let scan = Scan::of(class).after(keys.last().cloned()).most(Scan::MOST);
        let page = shelf.scan(scan).await.unwrap();
        if page.is_empty() {
            return keys;
        }
        for row in page {
            assert_eq!(row.body, body(&row.key), "a row is whole");
            keys.push(row.key);
        }
    }
}

#[tokio::test]
async fn what_was_kept_is_there_after_the_writer_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let seed = SystemIds::new().next_uuid().as_u64_pair().1;
    println!("the seed is {seed}");
    let dice = SeededIds::new(seed);
    let mut kept: Vec<(OrgId, String)> = Vec::new();
    for round in 0..ROUNDS {
        // From before the first file is made to some way into the work.
        let lines = 1 + dice.next_uuid().as_u64_pair().1 % 400;
        let place = folder.path().to_str().unwrap();
        let said = killed_after(("writes_for_ever", place, round), lines, read).await;
        assert!(said.len() as u64 >= lines);
        kept.extend(
            said.into_iter()
                .map(|(place, key)| (orgs(round)[place], key)),
        );
        let options = SqliteOptions::new().check(Check::Whole);
        let store = SqliteStore::open(folder.path(), options).unwrap();
        for org in orgs(round) {
            let shelf = shelf(&store, org).await;
            let keys = all_keys(&*shelf, CLASSES[0]).await;
            assert_eq!(
                all_keys(&*shelf, CLASSES[1]).await,
                keys,
                "commits are whole"
            );
            let there: HashSet<&String> = keys.iter().collect();
            let lost = kept
                .iter()
                .filter(|(whose, key)| *whose == org && !there.contains(key));
            assert_eq!(lost.count(), 0, "round {round}, seed {seed}");
        }
        store.close().await;
    }
}
