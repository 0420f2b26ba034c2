//! Three tenants in one database, each with a canary of its own in all that is kept for it.

use std::fmt::{self, Write as _};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _};
use stageflow::context::{OrgId, SeededIds, UserId};
use stageflow_store::conformance::scope_of;
use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, migrate};
use stageflow_store::{Class, Row, Scan, Shelf, Store as _, Write};
use stageflow_testkit::Property;
use stageflow_testkit::postgres::Cluster;
use tokio::sync::OnceCell;

const SECRET: [u8; 32] = [0x77; 32];

/// A seed that is told when something is found.
#[derive(Clone, Copy)]
pub(crate) struct Seeded {
    pub(crate) number: u64,
}

impl Seeded {
    pub(crate) fn named(name: &'static str) -> Self {
        let number = Property::new(name).seed();
        Self { number }
    }
}

impl fmt::Display for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repeat it with STAGEFLOW_SEED={}", self.number)
    }
}

/// Somebody whose rows nobody else may see.
pub(crate) struct Tenant {
    pub(crate) number: usize,
    pub(crate) org: OrgId,
    pub(crate) user: UserId,
    pub(crate) badge: String,
    pub(crate) shelf: Arc<dyn Shelf>,
}

impl Tenant {
    /// How many rows each class has for it. No two tenants have as many.
    pub(crate) fn rows(&self) -> usize {
        4 + 3 * self.number
    }

    /// What is in all that is kept for it, and in nothing else.
    pub(crate) fn canary(&self) -> String {
        format!("canary-{}-", self.number)
    }

    /// The same as an expression of SQL, in which it cannot be found.
    pub(crate) fn canary_sql(&self) -> String {
        format!("('canary' || '-{}-')", self.number)
    }

    pub(crate) fn uuid(&self) -> String {
        self.org.as_uuid().hyphenated().to_string()
    }

    fn row(&self, number: usize) -> Row {
        let key = match number {
            0 => format!("only/{}", self.canary()),
            _ => format!("both/{number}"),
        };
        let body = format!("{}{number}: what only its owner may know", self.canary());
        let about = number.is_multiple_of(2).then_some(self.user);
        Row::new(key, 1_000 + number as u64, body).about(about)
    }
}

/// The database, and who is in it.
pub(crate) struct World {
    cluster: &'static Cluster,
    database: String,
    pub(crate) tenants: Vec<Tenant>,
    /// As the program does it.
    pub(crate) store: PostgresStore,
    /// The connections of the store, which are looked at before they are handed on, for SQL of any kind.
    pub(crate) ours: PgPool,
    /// Connections of the same user for SQL of any kind, handed on without a look at them.
    pub(crate) raw: PgPool,
    /// How a tenant is set.
    pub(crate) sets: Sets,
}

/// How a tenant is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sets {
    /// Before the transaction, and for longer.
    Before,
    /// In the transaction, and for longer.
    Staying,
    /// For the transaction: as it is right.
    Transaction,
}

impl Sets {
    /// The statement that sets it; the badge is one that may stand in a text of SQL.
    pub(crate) fn sql(self, badge: &str) -> String {
        let local = self == Self::Transaction;
        format!("SELECT set_config('app.org_id', '{badge}', {local});")
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of("sf_app").await
    }

    /// The same, but whoever writes SQL connects as this user, who is made if it is not there. If it is the program's, half of
    /// it goes over the store's own connections.
    pub(crate) async fn of(user: &str) -> Self {
        static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let cluster = CLUSTER.get_or_init(|| Box::pin(Cluster::start())).await;
        let database = format!("world_{}", NAMES.fetch_add(1, Ordering::Relaxed));
        admin(
            &cluster.url("postgres", "postgres"),
            &format!("CREATE DATABASE {database}"),
        )
        .await;
        let url = |user: &str| cluster.url(user, &database);
        let key = BadgeKey::new(1, SECRET);
        Box::pin(migrate(&url("postgres"), &key, &[]))
            .await
            .unwrap();
        let options = PgOptions::new(key).connections(NonZeroU32::new(4).unwrap());
        let store = Box::pin(PostgresStore::connect(&url("sf_app"), options))
            .await
            .unwrap();
        let mut tenants = Vec::new();
        for number in 0..3 {
            tenants.push(Self::tenant(&store, number).await);
        }
        if user == "owner_app" {
            let make = "DO $$ BEGIN CREATE ROLE owner_app LOGIN IN ROLE sf_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$";
            admin(&url("postgres"), make).await;
        }
        let raw = PgPoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false);
        let raw = Box::pin(raw.connect(&url(user))).await.unwrap();
        let ours = match user {
            "sf_app" => store.connections(),
            _ => raw.clone(),
        };
        let world = Self {
            cluster,
            database,
            tenants,
            store,
            ours,
            raw,
            sets: Sets::Transaction,
        };
        // A view of the owner's, which anybody may read, and what the planner knows of the tables.
        world
            .admin(
                "CREATE VIEW sf.everything AS SELECT * FROM sf.documents; ALTER VIEW sf.everything OWNER TO sf_owner;
                 GRANT SELECT ON sf.everything TO sf_app; ANALYZE",
            )
            .await;
        // The program may not make anything that is temporary. Here it may, so that what stands behind that is tried too.
        let temporary = format!("GRANT TEMPORARY ON DATABASE {} TO sf_app", world.database);
        world.admin(&temporary).await;
        world
    }

    async fn tenant(store: &PostgresStore, number: usize) -> Tenant {
        let ids = SeededIds::new(900 + number as u64);
        let (org, user) = (OrgId::generate(&ids), UserId::generate(&ids));
        let shelf = store.open(&scope_of(org, Some(user))).await.unwrap();
        let badge = badge(org);
        let tenant = Tenant {
            number,
            org,
            user,
            badge,
            shelf,
        };
        for class in Class::ALL {
            let rows = (0..tenant.rows()).map(|number| tenant.row(number));
            let writes = rows.map(|row| Write::Insert { class, row }).collect();
            assert!(tenant.shelf.commit(writes).await.unwrap());
        }
        tenant
    }

    pub(crate) fn url(&self, user: &str) -> String {
        self.cluster.url(user, &self.database)
    }

    /// Does something as the superuser.
    pub(crate) async fn admin(&self, sql: &str) {
        admin(&self.url("postgres"), sql).await;
    }

    /// Every row of every tenant says what it said at the beginning, and there are no more.
    pub(crate) async fn assert_untouched(&self) {
        for tenant in &self.tenants {
            for class in Class::ALL {
                let mut rows: Vec<Row> = (0..tenant.rows())
                    .map(|number| tenant.row(number))
                    .collect();
                rows.sort_by(|one, other| one.key.cmp(&other.key));
                let found = tenant.shelf.scan(Scan::of(class)).await.unwrap();
                assert_eq!(found, rows, "{class:?} of {}", tenant.number);
            }
        }
    }
}

async fn admin(url: &str, sql: &str) {
    let mut admin = Box::pin(PgConnection::connect(url)).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
}

/// A genuine badge, worked out here once more.
fn badge(org: OrgId) -> String {
    let mut badge = format!("{}:1", org.as_uuid().hyphenated());
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET).unwrap();
    mac.update(format!("sf1:{badge}").as_bytes());
    badge.push(':');
    for byte in mac.finalize().into_bytes() {
        write!(badge, "{byte:02x}").unwrap();
    }
    badge
}
