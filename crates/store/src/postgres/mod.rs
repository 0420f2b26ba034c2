//! One Postgres for all tenants, with a wall inside the database.

mod badge;
mod check;
mod failure;
mod hygiene;
mod migrate;
mod options;
mod owner;
mod pool;
mod row;
mod shelf;
mod statements;
mod step;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_tenancy::TenantScope;

pub use badge::BadgeKey;
pub use migrate::{compact, migrate};
pub use options::PgOptions;
pub use owner::PgOwner;

use crate::{Shelf, Store, StoreError};
use pool::Pool;
use shelf::PostgresShelf;

/// Keeps rows in a Postgres: one table for each class, the rows of all tenants side by side, and row-level security between
/// them that holds even where a statement of ours is wrong.
///
/// Every operation is a transaction of its own, which first shows the database a *badge*: whose turn it is, signed with a
/// [`BadgeKey`]. The policies of each table let it reach that tenant's rows and nothing else; without a badge, or with one that
/// is not genuine, there are no rows at all. The user that the program connects as owns nothing and cannot change the
/// policies; [`connect`](Self::connect) refuses any other. A clone is the same store.
///
/// ```no_run
/// use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, migrate};
///
/// # async fn start(secret: [u8; 32]) -> Result<(), stageflow_store::StoreError> {
/// let key = BadgeKey::new(1, secret);
/// migrate("postgres://deploy@db/app", &key, &[]).await?; // by the owner, once for each release
/// let store = PostgresStore::connect("postgres://sf_app@db/app", PgOptions::new(key)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    pool: Arc<Pool>,
}

impl PostgresStore {
    /// Connects as the user of the program, and looks whether the wall stands: see [`check`](Self::check).
    ///
    /// # Errors
    ///
    /// As of [`check`](Self::check); and [`StoreError`] of the kind [`Invalid`](crate::StoreErrorKind::Invalid) if the address
    /// cannot be read.
    pub async fn connect(url: &str, options: PgOptions) -> Result<Self, StoreError> {
        let pool = Arc::new(Pool::connect(url, options).await?);
        let store = Self { pool };
        match store.check().await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Looks whether the wall stands, now: whether the tables are of the version that this program knows, each has its policies
    /// and forces them on everybody, this user can neither pass nor change them, and the database takes the key. May be called
    /// as often as you like: what an operator takes down while programs run is not noticed otherwise.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the kind [`NotAllowed`](crate::StoreErrorKind::NotAllowed) if the wall does not stand, whose cause
    /// lists all that is wrong; [`Newer`](crate::StoreErrorKind::Newer) if the tables were made by a newer program;
    /// [`Unavailable`](crate::StoreErrorKind::Unavailable) if the database does not answer.
    pub async fn check(&self) -> Result<(), StoreError> {
        check::wall(&self.pool).await
    }

    /// Its connections, without a tenant: for tests of what a mistake in a statement could do.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn connections(&self) -> sqlx::PgPool {
        self.pool.bare().clone()
    }

    /// How many connections were handed back with a tenant or a foreign statement still on them, and were closed for it. Always
    /// 0, but for a mistake of this crate.
    #[must_use]
    pub fn unclean(&self) -> u64 {
        self.pool.unclean()
    }

    /// Closes all connections, when what goes on is done. Afterwards nothing can be kept or read.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("key", &self.pool.key())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        Ok(Arc::new(PostgresShelf::new(Arc::clone(&self.pool), scope)))
    }
}
