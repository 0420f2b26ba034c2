//! Where everything is kept: a folder of files, or a Postgres.

use std::path::Path;
use std::sync::Arc;

use stageflow::prelude::*;
use stageflow::tenancy::TenantScope;
use stageflow_store::postgres::{PgOptions, PostgresStore, migrate};
use stageflow_store::{Shelf, SqliteOptions, SqliteStore, Store, StoreError};

use crate::cli::Arguments;
use crate::secrets::Secrets;

/// One of the two. The rest of the program does not know which.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Files(SqliteStore),
    Postgres(PostgresStore),
}

impl Database {
    /// What the command line says.
    pub(crate) async fn open(arguments: &Arguments, secrets: &Secrets) -> Result<Self, StoreError> {
        let Some(url) = &arguments.database_url else {
            return Self::files(&arguments.data);
        };
        let key = secrets.badge_key();
        if let Some(owner) = &arguments.migrate_url {
            migrate(owner, &key, &[]).await?;
        }
        let store = PostgresStore::connect(url, PgOptions::new(key)).await?;
        Ok(Self::Postgres(store))
    }

    pub(crate) fn files(folder: &Path) -> Result<Self, StoreError> {
        let store = SqliteStore::open(folder.join("tenants"), SqliteOptions::new())?;
        Ok(Self::Files(store))
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Files(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

#[async_trait]
impl Store for Database {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        match self {
            Self::Files(store) => store.open(scope).await,
            Self::Postgres(store) => store.open(scope).await,
        }
    }
}
