//! What a connection may not be handed on with, and that it is taken off.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

/// What is left on a connection, told before anything is done about it. Then all of it is taken off, so that the session is
/// as it was in the beginning, but for the statements that the library has prepared and will use again.
///
/// A tenant is there if the setting is not empty; a transaction if it began before this message did. That holds for what is one message
/// only, so this must not become a prepared statement. Names are written in full: the path by which they would be found may
/// be one of the things that are left.
const LOOK_AND_CLEAN: &str = "SELECT \
    coalesce(pg_catalog.current_setting('app.org_id', true), '') OPERATOR(pg_catalog.<>) '', \
    pg_catalog.transaction_timestamp() OPERATOR(pg_catalog.<>) pg_catalog.statement_timestamp(), \
    EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql); \
    CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; DISCARD SEQUENCES; DISCARD TEMP; \
    SELECT pg_catalog.pg_advisory_unlock_all()";

/// What was found on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Somebody's turn: our transactions take it off themselves.
    pub(super) tenant: bool,
    /// A transaction: its first statement was not waited for, so that the library takes it for closed.
    pub(super) open: bool,
    /// Statements that were prepared with `PREPARE`: not by the library, and maybe under a name of its own.
    pub(super) prepared: bool,
}

impl Left {
    const fn is_clean(self) -> bool {
        !self.tenant && !self.open && !self.prepared
    }
}

/// Takes everything off that others could meet. Whether the connection is as it was in the beginning; if not, it is to be closed.
pub(super) async fn clean(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let mut left = look_and_clean(connection).await?;
    if left.open {
        // With it goes what was done in it, also what was done against it just now.
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
        left = look_and_clean(connection).await?;
    }
    Ok(left.is_clean())
}

pub(super) async fn look_and_clean(connection: &mut PgConnection) -> sqlx::Result<Left> {
    // All of it, so that what fails later in the message is an error here.
    let rows = sqlx::raw_sql(LOOK_AND_CLEAN).fetch_all(connection).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(Left {
        tenant: row.try_get(0)?,
        open: row.try_get(1)?,
        prepared: row.try_get(2)?,
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use sqlx::AssertSqlSafe;
    use stageflow_testkit::postgres::Cluster;

    use super::super::pool::Pool;
    use super::super::{BadgeKey, PgOptions};

    async fn pool(cluster: &Cluster) -> Pool {
        let options = PgOptions::new(BadgeKey::new(1, [1; 32])).connections(NonZeroU32::MIN);
        let url = cluster.url("postgres", "postgres");
        Pool::connect(&url, options).await.unwrap()
    }

    async fn ask(pool: &Pool, sql: &'static str) -> String {
        let mut connection = Box::pin(pool.bare().acquire()).await.unwrap();
        let answer = sqlx::query_scalar(sql).fetch_one(&mut *connection).await;
        answer.unwrap()
    }

    const ID: &str = "SELECT pg_backend_pid()::text";

    #[tokio::test]
    async fn what_somebody_left_on_a_connection_is_not_there_for_the_next() {
        let cluster = Cluster::start().await;
        let pool = pool(&cluster).await;
        let first = ask(&pool, ID).await;
        for (leave, look, clean) in [
            (
                "DECLARE held CURSOR WITH HOLD FOR SELECT 'secret'",
                "SELECT count(*)::text FROM pg_cursors WHERE name = 'held'",
                "0",
            ),
            (
                "CREATE TEMP TABLE kept AS SELECT 'secret' AS s",
                "SELECT count(*)::text FROM pg_class WHERE relname = 'kept'",
                "0",
            ),
            (
                "SET search_path = public",
                "SHOW search_path",
                "pg_catalog, pg_temp",
            ),
            ("SET row_security = off", "SHOW row_security", "on"),
            ("SET statement_timeout = 0", "SHOW statement_timeout", "10s"),
            ("SET app.other = 'secret'", "SHOW app.other", ""),
            (
                "SET ROLE pg_monitor",
                "SELECT current_user::text",
                "postgres",
            ),
            (
                "SET SESSION AUTHORIZATION pg_monitor",
                "SELECT session_user::text",
                "postgres",
            ),
            (
                "LISTEN somebody",
                "SELECT count(*)::text FROM pg_listening_channels()",
                "0",
            ),
            (
                "SELECT pg_advisory_lock(7)",
                "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'",
                "0",
            ),
        ] {
            for transaction in ["", "BEGIN;"] {
                let sql = AssertSqlSafe(format!("{transaction} {leave}"));
                sqlx::raw_sql(sql).execute(pool.bare()).await.unwrap();
                assert_eq!(ask(&pool, look).await, clean, "{transaction} {leave}");
            }
        }
        assert_eq!((ask(&pool, ID).await, pool.unclean()), (first.clone(), 0));
        let prepared = "SELECT count(*)::text FROM pg_prepared_statements";
        assert_ne!(ask(&pool, prepared).await, "0", "the library's own stay");

        sqlx::raw_sql("PREPARE somebodys AS SELECT 'secret'")
            .execute(pool.bare())
            .await
            .unwrap();
        assert_ne!(ask(&pool, ID).await, first, "it is closed");
        assert_eq!(pool.unclean(), 1);
    }
}
