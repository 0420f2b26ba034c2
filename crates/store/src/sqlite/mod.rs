//! A store of files, one for each org, without a server.
//!
//! ```text
//!   shelf of A ─┐                    ┌─ writer 0 ─▶ org_a.db   all that waits for A is one transaction
//!   shelf of B ─┼─▶ turns, by org ─▶─┤
//!   shelf of C ─┘                    └─ writer 1 ─▶ org_c.db   and the next turn is another org's
//! ```

mod checksum;
mod files;
mod fresh;
mod lane;
mod options;
mod queue;
mod reader;
mod rows;
mod schema;
mod scrub;
mod shelf;
mod trouble;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_tenancy::TenantScope;

use self::shelf::{Inner, SqliteShelf};
use crate::{Shelf, Store, StoreError};

pub use options::{Check, SqliteOptions};

/// Keeps rows in SQLite files, one for each org, in one folder: `org_<32 hex digits>.db`. No server, and nothing that two
/// orgs share. A clone is the same store.
///
/// A commit that gave `true` is on the disk (WAL, `synchronous=FULL`). Commits of an org that wait at the same time are one
/// transaction, each undone by itself if its condition is not met. What is deleted is overwritten (`secure_delete`). Files
/// can be read by their owner alone.
///
/// Each org is always written by the same thread of a few, so that a file has one writer, and a thousand orgs do not have a
/// thousand threads. Orgs take turns on a thread: the one that writes most does not make the others wait for all of it.
///
/// Every row has a checksum, which SQLite does not: what was changed outside is [`Corrupt`](crate::StoreErrorKind::Corrupt)
/// when it is read. Other programs must not delete or replace files while the store is open.
///
/// ```
/// use stageflow_store::{SqliteOptions, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let store = SqliteStore::open(folder.path(), SqliteOptions::new())?;
/// // ... `store.open(&TenantScope::of(&cx)?)` in a stage ...
/// store.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

impl SqliteStore {
    /// The store in this folder, which is made if it is not there. It starts its threads, which end with
    /// [`close`](Self::close) or with its last clone and shelf.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be made, or a thread cannot be started.
    pub fn open(folder: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        Inner::start(folder.as_ref(), options).map(|inner| Self(Arc::new(inner)))
    }

    /// Takes nothing more, carries out what waits, closes the files and ends the threads. What comes later is
    /// [`Unavailable`](crate::StoreErrorKind::Unavailable).
    ///
    /// # Cancellation
    ///
    /// The store closes all the same. A second call waits for the same end.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shelf = SqliteShelf::new(Arc::clone(&self.0), scope.org());
        shelf.prepare().await?;
        Ok(Arc::new(shelf))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("folder", &self.0.folder())
            .finish_non_exhaustive()
    }
}
