//! Where the house keeps what its tenants leave.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::process::{Resource, getrlimit, setrlimit};
use stageflow::tenancy::TenantScope;
use stageflow_store::{Shelf, SqliteOptions, SqliteStore, Store, StoreError};

use super::server::Server;
use crate::LabError;

/// A store for all tenants.
pub(super) enum Kept {
    /// A file for each of them.
    Files(SqliteStore),
    /// One database.
    Server(Server),
}

impl Kept {
    /// In this folder, for so many tenants.
    pub(super) fn files(folder: &Path, tenants: usize) -> Result<Self, LabError> {
        // The files of a tenant are always one thread's: of few tenants, chance would give one thread more than the next.
        let threads = NonZeroUsize::new((tenants / 32).clamp(1, 16));
        let threads = threads.unwrap_or(NonZeroUsize::MIN);
        let options = SqliteOptions::new()
            .files(files_for(tenants))
            .writers(threads)
            .readers(threads.min(const { NonZeroUsize::new(2).unwrap() }));
        let store = SqliteStore::open(folder, options).map_err(LabError::new)?;
        Ok(Self::Files(store))
    }

    /// What its rows are called.
    pub(super) fn channel(&self) -> &'static str {
        match self {
            Self::Files(_) => "rows",
            Self::Server(_) => "rows of the server",
        }
    }

    /// Lets go of what belongs to the runtime that it was used on.
    pub(super) async fn leave_runtime(&self) {
        if let Self::Server(server) = self {
            server.close().await;
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Files(store) => store.close().await,
            Self::Server(server) => server.close().await,
        }
    }
}

#[async_trait]
impl Store for Kept {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        match self {
            Self::Files(store) => store.open(scope).await,
            Self::Server(server) => server.open(scope).await,
        }
    }
}

/// So many that all stay open, if the system lets them: closing and opening them would be most of the work.
fn files_for(tenants: usize) -> NonZeroUsize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // What is allowed without asking has to do, then.
    let _refused = setrlimit(Resource::Nofile, limit);
    let allowed = getrlimit(Resource::Nofile).current;
    let allowed = allowed.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    });
    // A file takes three descriptors, and others want some, too.
    let files = tenants.saturating_mul(4).min(allowed / 4);
    NonZeroUsize::new(files).unwrap_or(NonZeroUsize::MIN)
}
