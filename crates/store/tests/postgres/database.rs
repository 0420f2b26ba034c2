//! Databases with nothing in them, on one server for all tests.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use stageflow_testkit::postgres::Cluster;
use tokio::sync::OnceCell;

/// A new one: its server, and its name.
pub(crate) async fn new() -> (&'static Cluster, String) {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    static NAMES: AtomicU32 = AtomicU32::new(0);
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    let name = format!("lab_{}", NAMES.fetch_add(1, Ordering::Relaxed));
    let mut admin = Box::pin(PgConnection::connect(&cluster.url("postgres", "postgres")))
        .await
        .unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    (cluster, name)
}
