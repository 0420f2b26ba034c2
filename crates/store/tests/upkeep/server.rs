//! A store on a server, for tests that pause their clocks and have no sockets: it has a runtime of its own.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use stageflow_context::OrgId;
use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, migrate};
use stageflow_store::{Class, Row, Scan, Shelf, Store, StoreError, Write};
use stageflow_tenancy::TenantScope;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::OnceCell;

use crate::database;

const KEY: BadgeKey = BadgeKey::new(1, [0x5a; 32]);

/// Databases that no test has any more. To make one takes long, and no two tests have the same orgs.
static FREE: Mutex<Vec<PostgresStore>> = Mutex::new(Vec::new());

/// A database that nobody else has, from when it is first opened.
#[derive(Default)]
pub(crate) struct Leased(OnceCell<Arc<Lease>>);

#[derive(Debug)]
struct Lease(PostgresStore);

impl Drop for Lease {
    fn drop(&mut self) {
        FREE.lock().unwrap().push(self.0.clone());
    }
}

#[derive(Debug)]
struct LeasedShelf {
    shelf: Arc<dyn Shelf>,
    _lease: Arc<Lease>,
}

async fn lease() -> Arc<Lease> {
    let free = FREE.lock().unwrap().pop();
    let store = match free {
        Some(store) => store,
        None => outside(made()).await,
    };
    Arc::new(Lease(store))
}

async fn made() -> PostgresStore {
    let (cluster, name) = database::new().await;
    let owner = cluster.url("postgres", &name);
    migrate(&owner, &KEY, &[]).await.unwrap();
    let options = PgOptions::new(KEY).connections(const { NonZeroU32::new(4).unwrap() });
    let url = cluster.url("sf_app", &name);
    PostgresStore::connect(&url, options).await.unwrap()
}

/// Does it on the server's runtime. A paused clock stands still meanwhile, as it does for files.
async fn outside<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let run = move || {
        let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
        runtime.block_on(future)
    };
    Handle::current().spawn_blocking(run).await.unwrap()
}

#[async_trait]
impl Store for Leased {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let lease = Arc::clone(self.0.get_or_init(lease).await);
        let shelf = lease.0.open(scope).await?;
        Ok(Arc::new(LeasedShelf {
            shelf,
            _lease: lease,
        }))
    }
}

#[async_trait]
impl Shelf for LeasedShelf {
    fn org(&self) -> OrgId {
        self.shelf.org()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        let shelf = Arc::clone(&self.shelf);
        outside(async move { shelf.commit(writes).await }).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        let (shelf, key) = (Arc::clone(&self.shelf), key.to_owned());
        outside(async move { shelf.get(class, &key).await }).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        let shelf = Arc::clone(&self.shelf);
        outside(async move { shelf.scan(scan).await }).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        let shelf = Arc::clone(&self.shelf);
        outside(async move { shelf.scrub().await }).await
    }
}
