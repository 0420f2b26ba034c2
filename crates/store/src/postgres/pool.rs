//! The connections, and that none is handed back with a tenant on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};
use stageflow_context::WallClock;

use super::badge::Badge;
use super::failure::failed;
use super::row::saturated;
use super::{BadgeKey, PgOptions, hygiene};
use crate::StoreError;
use crate::time::millis;

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
                // What is temporary comes last, not first, as it does where it is not named.
                ("search_path", "pg_catalog, pg_temp"),
                ("row_security", "on"),
                // Goes before what a role or a database has as its default.
                ("app.org_id", ""),
                ("default_transaction_isolation", "read committed"),
                ("synchronous_commit", "on"),
                // Rows are found by index and wanted in its order. The planner, which may learn nothing of keys, would read all
                // that is behind a page and sort it.
                ("enable_bitmapscan", "off"),
                ("statement_timeout", &timeout.to_string()),
                ("idle_in_transaction_session_timeout", &idle.to_string()),
            ]);
        let unclean = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&unclean);
        let connecting = PgPoolOptions::new()
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
                    let clean = hygiene::clean(connection).await?;
                    if !clean {
                        counted.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(
                            "a connection was handed back with a tenant or a statement on it; it is closed"
                        );
                    }
                    Ok(clean)
                })
            })
            .connect_with(target);
        let connections = Box::pin(connecting).await.map_err(&failed)?;
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
        let mut transaction = Box::pin(self.connections.begin()).await?;
        sqlx::query("SELECT pg_catalog.set_config('app.org_id', $1, true)")
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
        saturated(millis(&*self.clock))
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}

#[cfg(test)]
mod tests {
    use stageflow_testkit::Property;
    use stageflow_testkit::postgres::Cluster;

    use super::*;

    async fn pool(cluster: &Cluster) -> Pool {
        let url = cluster.url("postgres", "postgres");
        let options = PgOptions::new(BadgeKey::new(1, [1; 32]));
        let one = std::num::NonZeroU32::MIN;
        Pool::connect(&url, options.connections(one)).await.unwrap()
    }

    async fn id(pool: &Pool) -> (i32, bool, bool) {
        let mut connection = Box::pin(pool.bare().acquire()).await.unwrap();
        let id = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let left = hygiene::look_and_clean(&mut connection).await.unwrap();
        (id, !left.tenant, left.open)
    }

    #[tokio::test]
    async fn a_connection_that_is_handed_back_with_a_tenant_is_closed_and_counted() {
        let cluster = Cluster::start().await;
        let pool = pool(&cluster).await;
        let (first, ..) = id(&pool).await;
        assert_eq!((id(&pool).await, pool.unclean()), ((first, true, false), 0));

        // For longer than the transaction: what this crate never does.
        let set = "SELECT set_config('app.org_id', 'somebody', false)";
        sqlx::query(set).execute(pool.bare()).await.unwrap();
        let (second, clean, open) = id(&pool).await;
        assert!(second != first && clean && !open);
        assert_eq!(pool.unclean(), 1);

        // A transaction that was begun behind the back of the library.
        sqlx::raw_sql("BEGIN; SET LOCAL app.org_id = 'somebody'")
            .execute(pool.bare())
            .await
            .unwrap();
        assert_eq!(
            (id(&pool).await, pool.unclean()),
            ((second, true, false), 1)
        );

        // One that has failed is of no use.
        let failing = sqlx::raw_sql("BEGIN; SET LOCAL app.org_id = 'somebody'; SELECT 1/0");
        failing.execute(pool.bare()).await.unwrap_err();
        let (third, clean, open) = id(&pool).await;
        assert!(third != second && clean && !open);
    }

    #[tokio::test]
    async fn a_beginning_that_is_dropped_anywhere_leaves_no_transaction() {
        let cluster = Cluster::start().await;
        let pool = pool(&cluster).await;
        let seed = Property::new("drops").seed();
        println!("repeat it with STAGEFLOW_SEED={seed}");
        let badge = pool.key().badge(stageflow_context::OrgId::generate(
            &stageflow_context::SeededIds::new(seed),
        ));
        let mut dropped = 0;
        for round in 0..500_u32 {
            let polls = (seed.wrapping_add(round.into()) % 7) as usize;
            let mut beginning = Box::pin(pool.begin(&badge));
            let mut left = polls;
            let ended = std::future::poll_fn(|cx| {
                if left == 0 {
                    return std::task::Poll::Ready(false);
                }
                left -= 1;
                beginning.as_mut().poll(cx).map(|_| true)
            });
            dropped += u32::from(!ended.await);
            drop(beginning);
            let (_, clean, open) = id(&pool).await;
            assert!(clean && !open, "after {polls} polls");
        }
        assert!(dropped > 50, "{dropped}");
        assert_eq!(pool.unclean(), 0);
    }
}
