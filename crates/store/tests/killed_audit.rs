//! A process that is killed while it appends leaves a trail that verifies, and has each entry that it was told is there, once.

#![cfg(test)]

mod killing;

use std::collections::HashSet;
use std::io::Write as _;

use stageflow_context::{IdSource as _, OrgId, SealKey, SealKeys, SeededIds, SystemIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{AuditDraft, AuditTrail, Check, SqliteOptions, SqliteStore, Store as _};

use crate::killing::{FOLDER, ROUND, killed_after};

const ROUNDS: u64 = 10;
const WRITERS: u32 = 3;
/// What lines begin with that say what is kept.
const SAID: &str = "kept ";

fn org() -> OrgId {
    OrgId::generate(&SeededIds::new(1))
}

async fn trail(store: &SqliteStore) -> AuditTrail {
    let shelf = store.open(&scope_of(org(), None)).await.unwrap();
    AuditTrail::new(shelf, SealKeys::new(SealKey::new(7, [0x5a; 32])))
}

/// Some at once, each from a source of its own.
fn drafts(names: &[String]) -> Vec<AuditDraft> {
    let draft = |name: &String| AuditDraft::new(name.clone()).once(name.clone());
    names.iter().map(draft).collect()
}

/// Appends until it is killed, and says what it was told is kept. Started by the other test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "appends until it is killed"]
async fn appends_for_ever() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else {
        return;
    };
    let store = SqliteStore::open(folder, SqliteOptions::new()).unwrap();
    let all = (0..WRITERS).map(async |writer| {
        // A trail of its own, as processes have.
        let trail = trail(&store).await;
        for number in 0_u32.. {
            let names = (0..=number % 3).map(|n| format!("{round}/{writer}/{number}/{n}."));
            let names: Vec<_> = names.collect();
            trail.append(drafts(&names)).await.unwrap();
            let mut out = std::io::stdout().lock();
            for name in names {
                writeln!(out, "\n{SAID}{name}").unwrap();
            }
            out.flush().unwrap();
        }
    });
    futures_util::future::join_all(all).await;
}

/// What is kept. `None` for another line, or one that was cut: a whole one ends with a full stop.
fn read(line: &str) -> Option<String> {
    let name = line.strip_prefix(SAID)?;
    name.ends_with('.').then(|| name.to_owned())
}

#[tokio::test]
async fn a_trail_holds_after_who_appended_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let seed = SystemIds::new().next_uuid().as_u64_pair().1;
    println!("the seed is {seed}");
    let dice = SeededIds::new(seed);
    let mut kept: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let lines = 1 + dice.next_uuid().as_u64_pair().1 % 120;
        kept.extend(killed_after(("appends_for_ever", folder.path(), round), lines, read).await);
        let options = SqliteOptions::new().check(Check::Whole);
        let store = SqliteStore::open(folder.path(), options).unwrap();
        let trail = trail(&store).await;
        let entries = trail.verify().await.unwrap().entries;
        let mut there = HashSet::new();
        for number in 1..=entries {
            let what = trail.entry(number).await.unwrap().unwrap().what;
            assert!(there.insert(what), "nothing is there twice, seed {seed}");
        }
        let lost = kept.iter().filter(|name| !there.contains(*name));
        assert_eq!(lost.count(), 0, "round {round}, seed {seed}");
        // Whoever was not told may say all of it again.
        assert_eq!(trail.append(drafts(&kept)).await.unwrap(), 0);
        store.close().await;
    }
}
