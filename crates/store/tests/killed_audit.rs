//! A process that is killed while it appends leaves a trail that verifies, and has each entry that it was told is there, once.

#![cfg(test)]

mod killing;

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;

use stageflow_context::{IdSource as _, OrgId, SealKey, SealKeys, SeededIds, SystemIds};
use stageflow_store::conformance::scope_of;
use stageflow_store::{AuditDraft, AuditTrail, Check, SqliteOptions, SqliteStore, Store};

use crate::killing::{PLACE, ROUND, killed_after};

const ROUNDS: u64 = 10;
const WRITERS: u32 = 3;
/// What lines begin with that say what is kept.
const SAID: &str = "kept ";

fn org() -> OrgId {
    OrgId::generate(&SeededIds::new(1))
}

#[cfg(feature = "postgres")]
const KEY: stageflow_store::postgres::BadgeKey =
    stageflow_store::postgres::BadgeKey::new(1, [0x5a; 32]);

/// The store in this folder, or at this address.
async fn open(place: &str) -> Arc<dyn Store> {
    #[cfg(feature = "postgres")]
    if place.starts_with("postgres:") {
        use stageflow_store::postgres::{PgOptions, PostgresStore};
        let connected = PostgresStore::connect(place, PgOptions::new(KEY));
        return Arc::new(Box::pin(connected).await.unwrap());
    }
    let options = SqliteOptions::new().check(Check::Whole);
    Arc::new(SqliteStore::open(place, options).unwrap())
}

async fn trail(store: &dyn Store) -> AuditTrail {
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
    let (Ok(place), Ok(round)) = (std::env::var(PLACE), std::env::var(ROUND)) else {
        return;
    };
    let store = open(&place).await;
    let all = (0..WRITERS).map(async |writer| {
        // A trail of its own, as processes have.
        let trail = trail(&*store).await;
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

/// Of rounds of being killed, each on what the one before has left.
async fn holds(place: &str) {
    let seed = SystemIds::new().next_uuid().as_u64_pair().1;
    println!("the seed is {seed}");
    let dice = SeededIds::new(seed);
    let mut kept: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let lines = 1 + dice.next_uuid().as_u64_pair().1 % 120;
        kept.extend(killed_after(("appends_for_ever", place, round), lines, read).await);
        let trail = trail(&*open(place).await).await;
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
    }
}

#[tokio::test]
async fn a_trail_in_a_file_holds_after_who_appended_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    holds(folder.path().to_str().unwrap()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_trail_on_a_server_holds_after_who_appended_was_killed() {
    use stageflow_testkit::postgres::Cluster;

    let cluster = Cluster::start().await;
    let owner = cluster.url("postgres", "postgres");
    Box::pin(stageflow_store::postgres::migrate(&owner, &KEY, &[]))
        .await
        .unwrap();
    holds(&cluster.url("sf_app", "postgres")).await;
}
