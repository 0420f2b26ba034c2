//! A database of its own for each test, on one server.

use std::sync::Arc;
use std::time::SystemTime;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use stageflow_context::{ContextSnapshot, OrgId, RunId, RunIdentity, SeededIds};
use stageflow_events::RunHeader;
use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, migrate};
use stageflow_store::{Shelf, Store as _};
use stageflow_tenancy::TenantScope;
use stageflow_testkit::postgres::Cluster;

use crate::database;

pub(crate) const KEY: BadgeKey = BadgeKey::new(1, [0x5a; 32]);

/// A database.
pub(crate) struct Lab {
    cluster: &'static Cluster,
    pub(crate) name: String,
}

impl Lab {
    /// A database with the tables of the store.
    pub(crate) async fn start() -> Self {
        let lab = Self::bare().await;
        migrate(&lab.url("postgres"), &KEY, &[]).await.unwrap();
        lab
    }

    /// A database with nothing in it.
    pub(crate) async fn bare() -> Self {
        let (cluster, name) = database::new().await;
        Self { cluster, name }
    }

    pub(crate) fn url(&self, user: &str) -> String {
        self.cluster.url(user, &self.name)
    }

    /// Does something as the superuser.
    pub(crate) async fn admin(&self, sql: &str) {
        let mut admin = self.connect("postgres").await;
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
    }

    /// What the superuser counts.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut admin = self.connect("postgres").await;
        sqlx::query_scalar(sql).fetch_one(&mut admin).await.unwrap()
    }

    /// In how many files of this database a text is, when everything is on the disk.
    pub(crate) async fn files_with(&self, text: &str) -> usize {
        self.admin("CHECKPOINT").await;
        let mut admin = self.connect("postgres").await;
        let folder = "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database WHERE datname = current_database()";
        let folder: String = sqlx::query_scalar(folder)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        let files = std::fs::read_dir(folder).unwrap().flatten();
        let with = |file: &std::fs::DirEntry| {
            let bytes = std::fs::read(file.path()).unwrap_or_default();
            bytes
                .windows(text.len())
                .any(|found| found == text.as_bytes())
        };
        files.filter(with).count()
    }

    pub(crate) async fn connect(&self, user: &str) -> PgConnection {
        Box::pin(PgConnection::connect(&self.url(user)))
            .await
            .unwrap()
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        let url = self.url("sf_app");
        PostgresStore::connect(&url, PgOptions::new(KEY))
            .await
            .unwrap()
    }

    pub(crate) async fn shelf(&self, store: &PostgresStore, tenant: u64) -> Arc<dyn Shelf> {
        store.open(&scope(org(tenant))).await.unwrap()
    }
}

pub(crate) fn org(tenant: u64) -> OrgId {
    OrgId::generate(&SeededIds::new(tenant))
}

/// The tenant of a run, as a sink sees it.
pub(crate) fn scope(org: OrgId) -> TenantScope {
    let run = RunId::generate(&SeededIds::new(1));
    let identity = RunIdentity::new(run).with_org_id(org);
    let context = ContextSnapshot::new(identity);
    let header = RunHeader::by_hand(context, "p".into(), [].into(), SystemTime::UNIX_EPOCH);
    TenantScope::of_header(&header).unwrap()
}
