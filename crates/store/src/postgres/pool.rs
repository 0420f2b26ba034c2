//! The connections, and that none is handed back with a tenant on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};
use stageflow_context::WallClock;

use super::badge::Badge;
use super::failure::failed;
use super::{BadgeKey, PgOptions};
use crate::StoreError;

/// A connection that nobody used for this long may be dead without anybody having noticed.
const LONG_IDLE: Duration = Duration::from_secs(1);

/// More than there are different statements.
const STATEMENTS: usize = 128;

#[derive(Debug)]
pub(super) struct Pool {
    connections: PgPool,
    key: BadgeKey,
    clock: Arc<dyn WallClock>,
    unclean: Arc<AtomicU64>,
}

impl Pool {
    pub(super) async fn connect(url: &str, options: PgOptions) -> Result<Self, StoreError> {
        let PgOptions {
            key,
            connections,
            patience,
            statement_timeout,
            clock,
        } = options;
        let failed = failed("connect to Postgres");
        let target: PgConnectOptions = url.parse().map_err(&failed)?;
        let timeout = statement_timeout.as_millis().clamp(1, i32::MAX as u128);
        let idle = timeout.saturating_mul(2).min(i32::MAX as u128);
        let target = target
            .application_name("stageflow")
            .statement_cache_capacity(STATEMENTS)
            .options([
                ("search_path", "pg_catalog"),
                ("row_security", "on"),
                ("default_transaction_isolation", "read committed"),
                ("synchronous_commit", "on"),
                ("statement_timeout", &timeout.to_string()),
                ("idle_in_transaction_session_timeout", &idle.to_string()),
            ]);
        let unclean = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&unclean);
        let connections = PgPoolOptions::new()
            .max_connections(connections.get())
            .acquire_timeout(patience)
            .test_before_acquire(false)
            .before_acquire(|connection, found| {
                let idle = found.idle_for;
                Box::pin(async move { Ok(idle < LONG_IDLE || connection.ping().await.is_ok()) })
            })
            .after_release(move |connection, _| {
                let counted = Arc::clone(&counted);
                Box::pin(async move {
                    let clean = is_clean(connection).await?;
                    if !clean {
                        counted.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(
                            "a connection was handed back with a tenant on it; it is closed"
                        );
                    }
                    Ok(clean)
                })
            })
            .connect_with(target)
            .await
            .map_err(&failed)?;
        Ok(Self {
            connections,
            key,
            clock,
            unclean,
        })
    }

    /// A transaction in which it is this tenant's turn, and which takes that back itself however it ends.
    pub(super) async fn begin(
        &self,
        badge: &Badge,
    ) -> sqlx::Result<Transaction<'static, Postgres>> {
        let mut transaction = self.connections.begin().await?;
        sqlx::query("SELECT set_config('app.org_id', $1, true)")
            .bind(badge.expose())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// Connections without a tenant: for questions about the wall itself.
    pub(super) fn bare(&self) -> &PgPool {
        &self.connections
    }

    pub(super) fn key(&self) -> &BadgeKey {
        &self.key
    }

    pub(super) fn unclean(&self) -> u64 {
        self.unclean.load(Ordering::Relaxed)
    }

    /// Wall time, in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        let now = self
            .clock
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}

async fn is_clean(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT coalesce(current_setting('app.org_id', true), '') = ''")
        .fetch_one(connection)
        .await
}
