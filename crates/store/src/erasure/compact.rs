//! Whoever may take away the bytes that a database leaves.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Takes away the bytes of everything that was ever deleted, for all tenants of a database together: what one tenant's
/// [`Shelf::scrub`](crate::Shelf::scrub) cannot do where tenants share files. `postgres::PgOwner` is one.
#[async_trait]
pub trait Compactor: Send + Sync + 'static {
    /// Takes them away.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be done, or not wholly. It can be done again.
    ///
    /// # Cancellation
    ///
    /// May be dropped at any point and called again.
    async fn compact(&self) -> Result<(), StoreError>;
}

/// Whether the tables of the whole database were written anew at the end of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compacted {
    /// Nobody was named who could. For `SqliteStore` and its like that is all the same: a tenant's files are
    /// its own, and were scrubbed.
    NotAsked,
    /// They were.
    Done,
}
