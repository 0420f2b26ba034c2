//! A server that is killed in the middle of writing has on its disk what it said it had.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use stageflow_store::postgres::{PgOptions, PostgresStore, migrate};
use stageflow_store::{Class, Row, Scan, Shelf, Store as _, Write};
use stageflow_testkit::Property;
use stageflow_testkit::postgres::Cluster;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::support::{KEY, org, scope};

const CLASSES: [Class; 2] = [Class::Events, Class::Runs];

/// Commits pairs of rows, one after the other, until the server no longer answers. Gives the keys that it said are kept, and
/// says when there is one.
async fn write(shelf: Arc<dyn Shelf>, name: String, first: Arc<Notify>) -> Vec<String> {
    let mut kept = Vec::new();
    for number in 0_u32.. {
        let key = format!("{name}/{number:06}");
        let pair = CLASSES.map(|class| {
            let row = Row::new(&*key, number.into(), body(&key));
            Write::Insert { class, row }
        });
        match shelf.commit(pair.into()).await {
            Ok(done) => assert!(done, "nobody else writes {key}"),
            Err(_) => break,
        }
        kept.push(key);
        first.notify_one();
    }
    kept
}

/// More than a page, so that it could be torn.
fn body(key: &str) -> String {
    format!("{key};").repeat(900)
}

async fn connect(cluster: &Cluster) -> PostgresStore {
    let url = cluster.url("sf_app", "postgres");
    // Long enough to connect, and not to wait much for a server that is gone.
    let patience = Duration::from_secs(2);
    let options = PgOptions::new(KEY).patience(patience);
    PostgresStore::connect(&url, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_to_be_kept_survives_five_kills() {
    let seed = Property::new("kills").seed();
    println!("repeat it with STAGEFLOW_SEED={seed}");
    let mut cluster = Cluster::durable().await;
    let admin = cluster.url("postgres", "postgres");
    migrate(&admin, &KEY, &[]).await.unwrap();
    let kept = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..5_u64 {
        let store = connect(&cluster).await;
        let mut writers = Vec::new();
        let first = Arc::new(Notify::new());
        for writer in 0..4 {
            let shelf = store.open(&scope(org(writer % 2))).await.unwrap();
            writers.push(Handle::current().spawn(write(
                shelf,
                format!("{round}/{writer}"),
                Arc::clone(&first),
            )));
        }
        // Somewhere in the first fifth of a second after something was kept, elsewhere each time.
        let moment = seed.rotate_left(13 * round as u32) % 200;
        first.notified().await;
        sleep(Duration::from_millis(moment)).await;
        cluster.kill().await;
        let before = kept.lock().unwrap().len();
        for writer in writers {
            let said = Box::pin(writer).await.unwrap();
            kept.lock().unwrap().extend(said);
        }
        let kept = kept.lock().unwrap().clone();
        assert!(kept.len() > before, "the server was killed while it wrote");
        cluster.restart().await;
        verify(&connect(&cluster).await, &kept).await;
    }
    let mut admin = Box::pin(PgConnection::connect(&admin)).await.unwrap();
    for setting in [
        "SHOW fsync",
        "SHOW full_page_writes",
        "SHOW synchronous_commit",
    ] {
        let on: String = sqlx::query_scalar(setting)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(on, "on", "{setting}: otherwise this says nothing");
    }
}

/// Everything that was said to be kept is there, and everything that is there is whole: both rows of a pair, or none.
async fn verify(store: &PostgresStore, kept: &BTreeSet<String>) {
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    for tenant in 0..2 {
        let shelf = store.open(&scope(org(tenant))).await.unwrap();
        for (class, found) in CLASSES.into_iter().zip(&mut found) {
            let mut scan = Scan::of(class);
            loop {
                let rows = shelf.scan(scan.clone()).await.unwrap();
                let Some(last) = rows.last() else { break };
                scan = scan.after(last.key.clone());
                for row in rows {
                    assert!(row.body == body(&row.key), "{} is torn", row.key);
                    found.insert(row.key);
                }
            }
        }
    }
    assert_eq!(found[0], found[1], "a pair was torn apart");
    let lost: Vec<_> = kept.difference(&found[0]).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}
