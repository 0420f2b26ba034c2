//! A machine that goes down in the middle of a write leaves a log that ends anywhere, or in anything. What was said to be kept
//! when the log was that long is there; what comes after it is there wholly or not at all, and nothing behind a gap.
//!
//! Killing a process, as the tests beside this do, cannot show that: the system has what the process wrote, and writes it down.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use stageflow_context::{OrgId, SeededIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{Check, Class, Row, Scan, Shelf, SqliteOptions, SqliteStore, Store, Write};
use stageflow_testkit::Property;

const COMMITS: u32 = 60;
const CUTS: u64 = 150;
/// What one commit writes, in two tables.
const CLASSES: [Class; 2] = [Class::Events, Class::Runs];

/// What the end of the log is like.
#[derive(Clone, Copy, Debug)]
enum End {
    Cut,
    Garbage,
    OneBit,
}

fn org() -> OrgId {
    OrgId::generate(&SeededIds::new(1))
}

fn body(number: u32) -> String {
    format!("{number}:{}", "z".repeat(number as usize * 997 % 3_000))
}

async fn shelf(store: &SqliteStore) -> Arc<dyn Shelf> {
    store.open(&scope_of(org(), None)).await.unwrap()
}

/// The only database in a folder, and its log.
fn names() -> [String; 2] {
    let file = format!("org_{}.db", org().as_uuid().simple());
    [file.clone(), format!("{file}-wal")]
}

/// Commits one after the other. How long the log was when each was said to be kept.
async fn write(folder: &Path, store: &SqliteStore) -> Vec<u64> {
    let shelf = shelf(store).await;
    let mut lengths = Vec::new();
    for number in 0..COMMITS {
        let put = |class| Write::Put {
            class,
            row: Row::new(format!("{number:04}"), 1, body(number)),
        };
        assert!(shelf.commit(CLASSES.map(put).into()).await.unwrap());
        let log = fs::metadata(folder.join(&names()[1])).unwrap();
        lengths.push(log.len());
    }
    lengths
}

/// How many commits are in a folder: the first so many, and whole.
async fn found(folder: &Path) -> u32 {
    let options = SqliteOptions::new().check(Check::Whole);
    let store = SqliteStore::open(folder, options).unwrap();
    let shelf = shelf(&store).await;
    let mut counts = Vec::new();
    for class in CLASSES {
        let rows = shelf.scan(Scan::of(class)).await.unwrap();
        for (number, row) in (0..).zip(&rows) {
            assert_eq!(row.key, format!("{number:04}"), "there is a gap before it");
            assert_eq!(row.body, body(number), "a row is whole");
        }
        counts.push(u32::try_from(rows.len()).unwrap());
    }
    assert_eq!(counts[0], counts[1], "a commit was torn apart");
    store.close().await;
    counts[0]
}

fn damage(log: &mut Vec<u8>, at: usize, end: End, dice: &mut impl FnMut() -> u64) {
    match end {
        End::Cut => log.truncate(at),
        End::Garbage => log[at..].fill_with(|| dice().to_le_bytes()[0]),
        End::OneBit => {
            if let Some(byte) = log.get_mut(at) {
                *byte ^= 1 << (dice() % 8);
            }
        }
    }
}

#[tokio::test]
async fn what_was_said_to_be_kept_is_before_any_end_of_the_log() {
    let seed = Property::new("torn logs").seed();
    println!("repeat it with STAGEFLOW_SEED={seed}");
    let mut state = seed | 1;
    let mut dice = move || {
        // Xorshift, after Marsaglia: any numbers will do that a seed brings back.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    let lengths = write(folder.path(), &store).await;
    // As it is now, with the store still open: nobody has tidied up.
    let [file, log] = names().map(|name| fs::read(folder.path().join(name)).unwrap());
    assert!(lengths.is_sorted() && lengths[0] < lengths[59], "one log");
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..CUTS {
        let end = [End::Cut, End::Garbage, End::OneBit][(round % 3) as usize];
        let at = usize::try_from(dice()).unwrap() % (log.len() + 1);
        let mut torn = log.clone();
        damage(&mut torn, at, end, &mut dice);
        let beside = tempfile::tempdir().unwrap();
        for (name, bytes) in names().iter().zip([&file, &torn]) {
            fs::write(beside.path().join(name), bytes).unwrap();
        }
        let there = found(beside.path()).await;
        let kept = lengths.iter().filter(|length| **length <= at as u64);
        let kept = u32::try_from(kept.count()).unwrap();
        assert!(there >= kept, "{end:?} at {at}: {there} of {kept}");
        seen.insert(there);
    }
    assert!(seen.len() > 20, "the log was cut in few places: {seen:?}");
    store.close().await;
    assert_eq!(found(folder.path()).await, COMMITS);
}
