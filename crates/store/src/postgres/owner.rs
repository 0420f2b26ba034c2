//! Whoever may write the tables anew.

use std::fmt;

use async_trait::async_trait;

use super::compact;
use crate::{Compactor, StoreError};

/// A member of `sf_owner`, for the step of an erasure that takes the bytes away: see
/// [`Erasure::compacting`](crate::Erasure::compacting). It connects when it is asked to, and at no other time. Keep it in the program
/// that erases, and out of those that serve requests: who has its address can pass every policy.
///
/// ```no_run
/// use stageflow_context::SealKeys;
/// use stageflow_store::Erasure;
/// use stageflow_store::postgres::{PgOwner, PostgresStore};
///
/// # fn example(store: PostgresStore, keys: SealKeys) {
/// let erasure = Erasure::new(store, keys).compacting(PgOwner::new("postgres://deploy@db/app"));
/// # }
/// ```
#[derive(Clone)]
pub struct PgOwner(String);

impl PgOwner {
    /// At this address. Nothing is done yet.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }
}

#[async_trait]
impl Compactor for PgOwner {
    /// As [`compact`].
    async fn compact(&self) -> Result<(), StoreError> {
        compact(&self.0).await
    }
}

/// The address may have a password in it.
impl fmt::Debug for PgOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PgOwner")
    }
}
