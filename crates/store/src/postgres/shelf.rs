//! What a Postgres keeps for one tenant.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stageflow_context::OrgId;
use stageflow_tenancy::TenantScope;
use tokio::time::sleep;

use super::badge::Badge;
use super::failure::{failed, worth_another_try};
use super::pool::Pool;
use super::row::{Found, read, saturated};
use super::statements;
use super::step::{Step, steps};
use crate::{Class, Row, Scan, Shelf, StoreError, StoreErrorKind, Write};

/// How often a commit is tried while other transactions are in its way.
const TRIES: u32 = 6;

/// How long it waits before the second time, in milliseconds; each time it is as much more.
const PAUSE: u64 = 3;

pub(super) struct PostgresShelf {
    pool: Arc<Pool>,
    org: OrgId,
    badge: Badge,
}

impl PostgresShelf {
    pub(super) fn new(pool: Arc<Pool>, scope: &TenantScope) -> Self {
        let org = scope.org();
        let badge = pool.key().badge(org);
        Self { pool, org, badge }
    }

    /// Carries the steps out in one transaction, or none of them if a condition is not met.
    async fn try_commit(&self, steps: &[Step]) -> sqlx::Result<bool> {
        let now = self.pool.now();
        let mut transaction = self.pool.begin(&self.badge).await?;
        for step in steps {
            if !step
                .carry_out(self.org.as_uuid(), now, &mut transaction)
                .await?
            {
                transaction.rollback().await?;
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn try_expire(&self) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin(&self.badge).await?;
        for class in Class::ALL {
            sqlx::query(statements::of(class).expire)
                .bind(self.org.as_uuid())
                .bind(self.pool.now())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    async fn try_get(&self, class: Class, key: &str) -> sqlx::Result<Option<Found>> {
        let mut transaction = self.pool.begin(&self.badge).await?;
        let found = sqlx::query_as(statements::of(class).get)
            .bind(self.org.as_uuid())
            .bind(key)
            .bind(self.pool.now())
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(found)
    }

    async fn try_scan(&self, scan: &Scan) -> sqlx::Result<Vec<Found>> {
        let Scan {
            class,
            prefix,
            after,
            user,
            before,
            most,
        } = scan;
        let up_to = scan.ceiling();
        let shape = usize::from(up_to.is_some()) + 2 * usize::from(user.is_some());
        let latest = before.map_or(i64::MAX, |before| saturated(before).saturating_sub(1));
        let mut transaction = self.pool.begin(&self.badge).await?;
        let mut query = sqlx::query_as(statements::of(*class).scan[shape])
            .bind(self.org.as_uuid())
            .bind(prefix)
            .bind(after.as_deref().unwrap_or_default())
            .bind(latest)
            .bind(self.pool.now())
            .bind(i64::from(*most));
        if let Some(up_to) = up_to {
            query = query.bind(up_to);
        }
        if let Some(user) = user {
            query = query.bind(user.as_uuid());
        }
        let found = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(found)
    }
}

impl fmt::Debug for PostgresShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresShelf")
            .field("org", &self.org)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Shelf for PostgresShelf {
    fn org(&self) -> OrgId {
        self.org
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        const DOING: &str = "commit";
        Write::check(&writes)?;
        let steps = steps(writes);
        for attempt in 1..=TRIES {
            match self.try_commit(&steps).await {
                Err(error) if attempt < TRIES && worth_another_try(&error) => {
                    sleep(Duration::from_millis(PAUSE * u64::from(attempt))).await;
                }
                done => return done.map_err(failed(DOING)),
            }
        }
        Err(StoreError::new(StoreErrorKind::TooBusy, DOING))
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        Row::check_key(key)?;
        let found = self
            .try_get(class, key)
            .await
            .map_err(failed("read a row"))?;
        found.map(read).transpose()
    }

    /// Takes away what is past its time. The bytes of deleted rows are the owner's to take away, for all tenants together: see
    /// [`compact`](super::compact).
    async fn scrub(&self) -> Result<(), StoreError> {
        let expired = self.try_expire().await;
        expired.map_err(failed("take away what is past its time"))
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        scan.check()?;
        let found = self.try_scan(&scan).await.map_err(failed("read rows"))?;
        found.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _};
    use stageflow_testkit::postgres::Cluster;

    use super::*;
    use crate::conformance::scope_of;
    use crate::postgres::{BadgeKey, PgOptions, migrate};
    use crate::{Row, Write};

    /// How the database would carry out each of the ways to scan.
    async fn plans(pool: &Pool, org: OrgId) -> Vec<String> {
        let mut plans = Vec::new();
        for (shape, scan) in statements::of(Class::Audit).scan.iter().enumerate() {
            let explain = AssertSqlSafe(format!("EXPLAIN {scan}"));
            let mut query = sqlx::query_scalar(explain)
                .bind(org.as_uuid())
                .bind("e/")
                .bind("e/00010000")
                .bind(i64::MAX)
                .bind(0_i64)
                .bind(1_000_i64);
            if shape % 2 == 1 {
                query = query.bind("e0");
            }
            if shape > 1 {
                query = query.bind(org.as_uuid());
            }
            let lines: Vec<String> = query.fetch_all(pool.bare()).await.unwrap();
            plans.push(lines.join("\n"));
        }
        plans
    }

    /// Whether the planner has looked at the table or not, a page is read from where it starts, and no further than it goes.
    #[tokio::test]
    async fn a_page_is_read_in_the_order_of_an_index() {
        let cluster = Cluster::start().await;
        let (owner, key) = (
            cluster.url("postgres", "postgres"),
            BadgeKey::new(1, [1; 32]),
        );
        migrate(&owner, &key, &[]).await.unwrap();
        let url = cluster.url("sf_app", "postgres");
        let pool = Arc::new(Pool::connect(&url, PgOptions::new(key)).await.unwrap());
        let org = OrgId::generate(&stageflow_context::SeededIds::new(1));
        let shelf = PostgresShelf::new(Arc::clone(&pool), &scope_of(org, None));
        for first in (0..20_000).step_by(4_000) {
            let row = |n: u32| Row::new(format!("e/{n:08}"), 1, "x");
            let class = Class::Audit;
            let insert = |n| Write::Insert { class, row: row(n) };
            let writes = (first..first + 4_000).map(insert).collect();
            assert!(shelf.commit(writes).await.unwrap());
        }
        let mut admin = Box::pin(sqlx::PgConnection::connect(&owner)).await.unwrap();
        for look in ["SELECT", "ANALYZE"] {
            sqlx::raw_sql(look).execute(&mut admin).await.unwrap();
            for plan in plans(&pool, org).await {
                let is_in_order = plan.contains("Index Scan") && !plan.contains("Sort");
                assert!(is_in_order, "{look}:\n{plan}");
            }
        }
    }
}
