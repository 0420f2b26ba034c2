//! A user is erased from a server: what is left of their bytes after each step, in all of its data folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use stageflow_context::{SealKey, SealKeys, SystemIds, UserId};
use stageflow_store::postgres::{PgOptions, PgOwner, PostgresStore, migrate};
use stageflow_store::{AuditDraft, AuditTrail, Class, Compacted, Erasure, Row, Store as _, Write};
use stageflow_testkit::postgres::Cluster;

use crate::support::{KEY, org, scope};

/// More than fits into a page, so that some of it is put aside into a table of its own.
const LONG: usize = 12_000;

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(7, [0x5a; 32]))
}

fn user() -> UserId {
    UserId::generate(&SystemIds::new())
}

/// Words that are theirs only, and not to be made shorter.
fn words(user: UserId) -> String {
    format!("canary{}", &user.as_uuid().simple().to_string()[12..])
}

/// Names them, where no tombstone keeps it.
fn key(class: Class, user: UserId, n: usize) -> String {
    match class {
        Class::Events | Class::Runs => format!("{}/{n}", self::user()),
        _ => format!("{}/{n}", words(user)),
    }
}

/// A server of the test's own, with one tenant.
struct Server {
    cluster: Cluster,
    store: PostgresStore,
    data: PathBuf,
}

impl Server {
    async fn start() -> Self {
        let cluster = Cluster::durable().await;
        migrate(&cluster.url("postgres", "postgres"), &KEY, &[])
            .await
            .unwrap();
        let url = cluster.url("sf_app", "postgres");
        let store = PostgresStore::connect(&url, PgOptions::new(KEY))
            .await
            .unwrap();
        let mut admin = admin(&cluster).await;
        let data: String = sqlx::query_scalar("SHOW data_directory")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        admin.close().await.unwrap();
        let data = data.into();
        Self {
            cluster,
            store,
            data,
        }
    }

    /// Does something as the superuser.
    async fn sql(&self, sql: &str) {
        let mut admin = admin(&self.cluster).await;
        for statement in sql.split(';') {
            let statement = AssertSqlSafe(statement.to_owned());
            sqlx::raw_sql(statement).execute(&mut admin).await.unwrap();
        }
        admin.close().await.unwrap();
    }

    /// Rows of every class about them, some short and one long, and keys that name them.
    async fn fill(&self, user: UserId) {
        let shelf = self.store.open(&scope(org(1))).await.unwrap();
        for class in Class::ALL {
            if class == Class::Audit {
                continue;
            }
            let row = |n: usize| {
                let said = match n {
                    // What repeats itself would be made shorter, and not be found.
                    0 => (0..LONG / 32).map(|_| words(self::user())).collect(),
                    _ => String::new(),
                };
                let body = json!({ "run": null, "said": words(user) + &said }).to_string();
                let row = Row::new(key(class, user, n), 1, body).about(user);
                Write::Insert { class, row }
            };
            assert!(shelf.commit((0..40).map(row).collect()).await.unwrap());
        }
        let draft = AuditDraft::new("auth.login").about(user).by(words(user));
        let trail = AuditTrail::new(shelf, keys());
        trail.append(vec![draft]).await.unwrap();
    }

    fn owner(&self) -> PgOwner {
        PgOwner::new(self.cluster.url("postgres", "postgres"))
    }

    /// In which files their words or their id are: of tables and all else that the server keeps, and of its log for crashes.
    async fn found(&self, user: UserId) -> (Vec<PathBuf>, Vec<PathBuf>) {
        self.sql("CHECKPOINT").await;
        let mut found = Vec::new();
        search(&self.data, user, &mut found);
        found.into_iter().partition(|file| {
            let inside = file.strip_prefix(&self.data).unwrap();
            !inside.starts_with("pg_wal")
        })
    }
}

async fn admin(cluster: &Cluster) -> PgConnection {
    let url = cluster.url("postgres", "postgres");
    Box::pin(PgConnection::connect(&url)).await.unwrap()
}

fn search(folder: &Path, user: UserId, found: &mut Vec<PathBuf>) {
    let all = [
        words(user).into_bytes(),
        user.to_string().into_bytes(),
        user.as_uuid().as_bytes().to_vec(),
    ];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, user, found);
            continue;
        }
        // What goes away while it is looked at has nothing.
        let bytes = fs::read(&path).unwrap_or_default();
        let has = |word: &Vec<u8>| memchr::memmem::find(&bytes, word).is_some();
        if all.iter().any(has) {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_compacts_leaves_no_byte_outside_of_the_log_for_crashes() {
    let server = Box::pin(Server::start()).await;
    let (ada, bob) = (user(), user());
    for user in [ada, bob] {
        server.fill(user).await;
    }
    // What the planner learns of a table is kept in another one.
    server.sql("ANALYZE").await;
    let (kept, log) = server.found(ada).await;
    assert!(
        kept.len() >= Class::ALL.len() && !log.is_empty(),
        "{kept:?}"
    );

    // Without the owner: gone for every query, and not from the files.
    let scope = scope(org(1));
    let erasure = Erasure::new(server.store.clone(), keys());
    let first = erasure.erase(&scope, ada).await.unwrap();
    assert_eq!(first.compacted(), Compacted::NotAsked);
    assert!(
        !server.found(ada).await.0.is_empty(),
        "otherwise the next says nothing"
    );

    let erasure = erasure.compacting(server.owner());
    let receipt = erasure.erase(&scope, ada).await.unwrap();
    assert_eq!(receipt.compacted(), Compacted::Done);
    let (kept, log) = server.found(ada).await;
    assert_eq!(kept, Vec::<PathBuf>::new());
    assert!(!server.found(bob).await.0.is_empty());
    erasure.verify(&scope, ada, &receipt).await.unwrap();

    // The log keeps them, for as long as its files are used again under other names.
    assert!(!log.is_empty(), "this is what the manual says");
    server
        .sql("ALTER SYSTEM SET wal_recycle = off; SELECT pg_reload_conf()")
        .await;
    // How many files were given new names before that depends on how much was written, and on the version.
    for _ in 0..8 {
        server
            .sql("SELECT pg_switch_wal(); SELECT pg_logical_emit_message(false, 'x', 'x'); CHECKPOINT")
            .await;
        if server.found(ada).await.1.is_empty() {
            break;
        }
    }
    assert_eq!(server.found(ada).await, (vec![], vec![]));
}

/// There is no receipt that says what was not done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_compact_gets_no_receipt() {
    let server = Box::pin(Server::start()).await;
    let ada = user();
    server.fill(ada).await;
    let app = PgOwner::new(server.cluster.url("sf_app", "postgres"));
    assert_eq!(format!("{app:?}"), "PgOwner");
    let erasure = Erasure::new(server.store.clone(), keys()).compacting(app);
    let scope = scope(org(1));
    let refused = erasure.erase(&scope, ada).await.unwrap_err();
    assert_eq!(refused.code(), "SF0716");
    // It is gone on with by somebody who may.
    let erasure = Erasure::new(server.store.clone(), keys()).compacting(server.owner());
    let receipt = erasure.erase(&scope, ada).await.unwrap();
    assert_eq!(receipt.rows(Class::Documents), 40);
}
