//! The same store on a Postgres that is there for this scenario alone, and two ways to look into it past the store's own code.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use stageflow::context::OrgId;
use stageflow::tenancy::TenantScope;
use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, migrate};
use stageflow_store::{Class, Shelf, Store, StoreError};
use stageflow_testkit::postgres::Cluster;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::LabError;

const SECRET: [u8; 32] = [0x5a; 32];
const KEY: BadgeKey = BadgeKey::new(1, SECRET);

/// Why no server can be started here, if none can. Nothing is fetched for it.
pub(super) fn missing() -> Option<String> {
    Cluster::at_hand().err()
}

/// A database of a round's own. It connects when it is first used: connections belong to the runtime that they were made on.
pub(super) struct Server {
    owner: String,
    app: String,
    store: Mutex<Option<PostgresStore>>,
}

/// What was found in a table: whose it says it is, and all that it says.
pub(super) struct FoundRow {
    pub(super) org: OrgId,
    pub(super) text: String,
}

impl Server {
    /// With the tables of the store, and nobody's rows.
    pub(super) async fn new(cluster: &Cluster) -> Result<Self, LabError> {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let name = format!("house_{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let server = Self {
            owner: cluster.url("postgres", &name),
            app: cluster.url("sf_app", &name),
            store: Mutex::default(),
        };
        let first = cluster.url("postgres", "postgres");
        told(&first, &format!("CREATE DATABASE {name}")).await?;
        let made = Box::pin(migrate(&server.owner, &KEY, &[])).await;
        made.map_err(LabError::new)?;
        Ok(server)
    }

    async fn store(&self) -> Result<PostgresStore, StoreError> {
        let mut store = self.store.lock().await;
        if let Some(store) = &*store {
            return Ok(store.clone());
        }
        let made = Box::pin(PostgresStore::connect(&self.app, PgOptions::new(KEY))).await?;
        Ok(store.insert(made).clone())
    }

    /// Closes what is open. Whoever comes next connects anew.
    pub(super) async fn close(&self) {
        let store = self.store.lock().await.take();
        if let Some(store) = store {
            store.close().await;
        }
    }

    /// Takes the database's wall down, behind the back of the program that is connected.
    pub(super) async fn without_policies(&self) -> Result<(), LabError> {
        self.store().await.map_err(LabError::new)?;
        for class in Class::ALL {
            let table = class.as_str();
            let down = format!("ALTER TABLE sf.{table} DISABLE ROW LEVEL SECURITY");
            told(&self.owner, &down).await?;
        }
        Ok(())
    }

    /// Every row of every table, as a superuser sees them.
    pub(super) async fn everything(&self) -> Result<Vec<FoundRow>, LabError> {
        read(&self.owner, None).await
    }

    /// What the program's user reads while it is this tenant's turn, with a statement that forgets to say whose rows it wants.
    pub(super) async fn in_sight_of(&self, org: OrgId) -> Result<Vec<FoundRow>, LabError> {
        read(&self.app, Some(badge(org))).await
    }
}

#[async_trait]
impl Store for Server {
    async fn open(&self, scope: &TenantScope) -> Result<std::sync::Arc<dyn Shelf>, StoreError> {
        self.store().await?.open(scope).await
    }
}

async fn connected(url: &str) -> Result<PgConnection, LabError> {
    Box::pin(PgConnection::connect(url))
        .await
        .map_err(LabError::new)
}

async fn told(url: &str, sql: &str) -> Result<(), LabError> {
    let mut connection = connected(url).await?;
    let sql = AssertSqlSafe(sql.to_owned());
    let done = sqlx::raw_sql(sql).execute(&mut connection).await;
    done.map_err(LabError::new)?;
    connection.close().await.map_err(LabError::new)
}

async fn read(url: &str, badge: Option<String>) -> Result<Vec<FoundRow>, LabError> {
    let mut connection = connected(url).await?;
    let mut turn = connection.begin().await.map_err(LabError::new)?;
    sqlx::query("SELECT pg_catalog.set_config('app.org_id', $1, true)")
        .bind(badge.unwrap_or_default())
        .execute(&mut *turn)
        .await
        .map_err(LabError::new)?;
    let mut found = Vec::new();
    for class in Class::ALL {
        let all = format!("SELECT org_id, t::text FROM sf.{} AS t", class.as_str());
        let rows: Vec<(Uuid, String)> = sqlx::query_as(AssertSqlSafe(all))
            .fetch_all(&mut *turn)
            .await
            .map_err(LabError::new)?;
        for (org, text) in rows {
            let org = OrgId::from_uuid(org).map_err(LabError::new)?;
            found.push(FoundRow { org, text });
        }
    }
    turn.rollback().await.map_err(LabError::new)?;
    connection.close().await.map_err(LabError::new)?;
    Ok(found)
}

/// A genuine badge, worked out here once more: the store gives none away.
fn badge(org: OrgId) -> String {
    let mut badge = format!("{}:{}", org.as_uuid().hyphenated(), KEY.id());
    // A key of 32 bytes is never refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&SECRET) else {
        return badge;
    };
    mac.update(format!("sf1:{badge}").as_bytes());
    badge.push(':');
    for byte in mac.finalize().into_bytes() {
        // A text takes everything.
        let _ = write!(badge, "{byte:02x}");
    }
    badge
}
