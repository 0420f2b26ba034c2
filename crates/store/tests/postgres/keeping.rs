//! The store on a real Postgres: what a program can see of it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{SeededIds, UserId};
use stageflow_store::conformance;
use stageflow_store::postgres::{PgOptions, PostgresStore, compact};
use stageflow_store::{Class, Row, Scan, Shelf, Store as _, StoreErrorKind, Write};
use tokio::runtime::Handle;

use crate::support::{KEY, Lab, org, scope};

fn put(key: &str, body: &str) -> Vec<Write> {
    let row = Row::new(key, 5, body);
    let class = Class::Documents;
    vec![Write::Put { class, row }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_there_for_its_tenant_alone() {
    let lab = Lab::start().await;
    let store = lab.store().await;
    let [one, other] = [lab.shelf(&store, 1).await, lab.shelf(&store, 2).await];
    let row = Row::new("a", 5, "one's").about(UserId::generate(&SeededIds::new(3)));
    for class in Class::ALL {
        let row = row.clone();
        let insert = || {
            vec![Write::Insert {
                class,
                row: row.clone(),
            }]
        };
        assert!(one.commit(insert()).await.unwrap());
        assert!(!one.commit(insert()).await.unwrap(), "it is there already");
        assert_eq!(one.get(class, "a").await.unwrap(), Some(row.clone()));
        assert_eq!(other.get(class, "a").await.unwrap(), None);
        assert_eq!(other.scan(Scan::of(class)).await.unwrap(), []);
        assert!(
            other.commit(insert()).await.unwrap(),
            "the same key is free for another tenant"
        );
    }
    assert_eq!(store.unclean(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_done_wholly_or_not_at_all() {
    let lab = Lab::start().await;
    let shelf = lab.shelf(&lab.store().await, 1).await;
    let class = Class::Runs;
    let row = |key: &str| Row::new(key, 1, "x");
    let insert = |key: &str| Write::Insert {
        class,
        row: row(key),
    };
    // A key twice: the second one's condition is not met.
    for twice in [
        vec![insert("a"), insert("b"), insert("a")],
        vec![insert("a"), insert("a")],
    ] {
        assert!(!shelf.commit(twice).await.unwrap());
    }
    let swap = |seen| Write::Swap {
        class,
        row: row("a"),
        seen,
    };
    assert!(
        !shelf.commit(vec![insert("b"), swap(0)]).await.unwrap(),
        "there is none"
    );
    assert_eq!(shelf.scan(Scan::of(class)).await.unwrap(), []);
    let delete = || Write::Delete {
        class,
        key: "a".to_owned(),
    };
    assert!(
        shelf
            .commit(vec![insert("a"), delete(), insert("a"), swap(0), swap(1)])
            .await
            .unwrap()
    );
    assert_eq!(shelf.get(class, "a").await.unwrap().unwrap().version, 2);
    assert!(
        !shelf.commit(vec![delete(), swap(1)]).await.unwrap(),
        "the version is 2"
    );
    assert!(shelf.get(class, "a").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_in_the_order_of_bytes_and_found_by_their_start() {
    let lab = Lab::start().await;
    let shelf = lab.shelf(&lab.store().await, 1).await;
    let texts = [
        "B",
        "a",
        "a/",
        "a/1",
        "a/\u{10ffff}",
        "a0",
        "b",
        "\u{e9}",
        "e\u{301}",
        "\u{10ffff}",
        "%",
        "_",
    ];
    for key in texts {
        assert!(shelf.commit(put(key, "x")).await.unwrap());
    }
    let keys = async |scan: Scan| -> Vec<String> {
        let rows = shelf.scan(scan).await.unwrap();
        rows.into_iter().map(|row| row.key).collect()
    };
    let all = Scan::of(Class::Documents);
    let sorted: BTreeSet<String> = texts.map(str::to_owned).into();
    assert_eq!(
        keys(all.clone()).await,
        sorted.iter().cloned().collect::<Vec<_>>()
    );
    assert_eq!(
        keys(all.clone().starting_with("a/")).await,
        ["a/", "a/1", "a/\u{10ffff}"]
    );
    assert_eq!(keys(all.clone().starting_with("%")).await, ["%"]);
    assert_eq!(
        keys(all.clone().starting_with("\u{10ffff}")).await,
        ["\u{10ffff}"]
    );
    assert_eq!(keys(all.after("a/".to_owned()).most(1)).await, ["a/1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_text_can_hold_is_refused_and_not_changed() {
    let lab = Lab::start().await;
    let shelf = lab.shelf(&lab.store().await, 1).await;
    let long = "k".repeat(256);
    for (key, body) in [
        ("", "x"),
        ("a\0", "x"),
        ("a", ""),
        ("a", "\0"),
        (&*long, "x"),
    ] {
        let error = shelf.commit(put(key, body)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{key:?} {body:?}");
    }
    for key in ["", "a\0", &*long] {
        let error = shelf.get(Class::Documents, key).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_at_once_lose_no_step() {
    let lab = Lab::start().await;
    let store = lab.store().await;
    let shelf = lab.shelf(&store, 1).await;
    let class = Class::Upkeep;
    for key in ["a", "b"] {
        let row = Row::new(key, 1, "0");
        assert!(
            shelf
                .commit(vec![Write::Insert { class, row }])
                .await
                .unwrap()
        );
    }
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let shelf = Arc::clone(&shelf);
            // Half of them take the rows the other way round: the database must get them apart.
            let keys = if task % 2 == 0 {
                ["a", "b"]
            } else {
                ["b", "a"]
            };
            Handle::current().spawn(async move {
                for _ in 0..5 {
                    while !step(&*shelf, class, keys).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for key in ["a", "b"] {
        let row = shelf.get(class, key).await.unwrap().unwrap();
        assert_eq!((&*row.body, row.version), ("80", 80));
    }
    assert_eq!(store.unclean(), 0);
}

/// Adds one to both, if nobody was faster.
async fn step(shelf: &dyn Shelf, class: Class, keys: [&str; 2]) -> bool {
    let mut writes = Vec::new();
    for key in keys {
        let row = shelf.get(class, key).await.unwrap().unwrap();
        let seen = row.version;
        let next = row.body.parse::<u32>().unwrap() + 1;
        let row = Row::new(row.key, row.at, next.to_string());
        writes.push(Write::Swap { class, row, seen });
    }
    match shelf.commit(writes).await {
        Ok(done) => done,
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::TooBusy, "{error:?}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_that_are_dropped_anywhere_leave_no_tenant_and_no_half() {
    let lab = Lab::start().await;
    let options = PgOptions::new(KEY).connections(NonZeroU32::new(2).unwrap());
    let store = PostgresStore::connect(&lab.url("sf_app"), options)
        .await
        .unwrap();
    let class = Class::Documents;
    for round in 0..300_u64 {
        let shelf = store.open(&scope(org(round % 3))).await.unwrap();
        let rows = ["a", "b", "c"].map(|key| Row::new(format!("{round}/{key}"), 1, "x"));
        // Not in one statement.
        let [a, b, c] = rows.map(|row| {
            [
                Write::Insert {
                    class,
                    row: row.clone(),
                },
                Write::Put { class, row },
            ]
        });
        let commit = shelf.commit([a, b, c].concat());
        let given = tokio::time::timeout(Duration::from_micros(round * 20), commit).await;
        let found = shelf
            .scan(Scan::of(class).starting_with(format!("{round}/")))
            .await
            .unwrap();
        match given {
            Ok(done) => assert!(done.unwrap() && found.len() == 3, "{found:?}"),
            Err(_) => assert!([0, 3].contains(&found.len()), "{found:?}"),
        }
    }
    assert_eq!(store.unclean(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_its_time_is_taken_away_and_then_its_bytes() {
    const CANARY: &str = "canary-that-must-not-stay-anywhere";
    let lab = Lab::start().await;
    let clock = conformance::HandClock::new();
    let options = PgOptions::new(KEY).wall_clock(clock.clone());
    let url = lab.url("sf_app");
    let store = PostgresStore::connect(&url, options).await.unwrap();
    let shelf = lab.shelf(&store, 1).await;
    let class = Class::Documents;
    let rows = [("gone", Some(1)), ("past", Some(1)), ("stays", None)];
    for (key, until) in rows {
        let row = Row::new(key, 0, format!("{key} {CANARY}")).until(until);
        assert!(shelf.commit(vec![Write::Put { class, row }]).await.unwrap());
    }
    let count = async || lab.count("SELECT count(*) FROM sf.documents").await;
    shelf.scrub().await.unwrap();
    assert_eq!(count().await, 1, "what is past its time");
    let key = "stays".to_owned();
    assert!(
        shelf
            .commit(vec![Write::Delete { class, key }])
            .await
            .unwrap()
    );
    assert!(
        lab.files_with(CANARY).await > 0,
        "otherwise this says nothing"
    );
    compact(&lab.url("postgres")).await.unwrap();
    assert_eq!(lab.files_with(CANARY).await, 0);
    let error = compact(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotAllowed);
}
