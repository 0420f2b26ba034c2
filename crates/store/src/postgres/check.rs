//! Whether the wall stands.

use sqlx::Error;
use stageflow_context::{OrgId, SystemIds};
use uuid::Uuid;

use super::failure::failed;
use super::migrate::NEWEST;
use super::pool::Pool;
use crate::{Class, StoreError, StoreErrorKind};

const DOING: &str = "look at the wall between the tenants";

/// Looks at all of it: who we are, what the tables have, and whether our badges are taken.
pub(super) async fn wall(pool: &Pool) -> Result<(), StoreError> {
    let wrong = |what: String| StoreError::new(StoreErrorKind::NotAllowed, DOING).because(what);
    let newest = Box::pin(newest(pool)).await.map_err(failed(DOING))?;
    let holes = Box::pin(holes(pool)).await.map_err(failed(DOING))?;
    match newest {
        _ if !holes.is_empty() => return Err(wrong(holes.join("; "))),
        Some(newest) if newest > NEWEST => {
            let error = StoreError::new(StoreErrorKind::Newer, DOING);
            return Err(error.because(format!("its tables are of version {newest}")));
        }
        Some(NEWEST) => {}
        _ => {
            return Err(wrong(
                "the tables are too old: call `migrate` as their owner".to_owned(),
            ));
        }
    }
    match Box::pin(takes_badges(pool)).await.map_err(failed(DOING))? {
        true => Ok(()),
        false => {
            let id = pool.key().id();
            Err(wrong(format!(
                "the database does not take badges of key {id}"
            )))
        }
    }
}

/// The version of the tables, if there are any.
async fn newest(pool: &Pool) -> sqlx::Result<Option<i64>> {
    let newest = "SELECT max(version) FROM sf.migrations WHERE success";
    match sqlx::query_scalar(newest).fetch_one(pool.bare()).await {
        // There is no such schema or table, or it is not for us: the list of holes says so in words.
        Err(Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P01" | "3F000" | "42501")) =>
        {
            Ok(None)
        }
        newest => newest,
    }
}

async fn holes(pool: &Pool) -> sqlx::Result<Vec<String>> {
    let tables: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
    sqlx::query_scalar(include_str!("check.sql"))
        .bind(tables)
        .fetch_all(pool.bare())
        .await
}

/// Whether a badge says in the database what it says here, and nothing says nothing.
async fn takes_badges(pool: &Pool) -> sqlx::Result<bool> {
    const TENANT: &str = "SELECT sf.tenant()";
    let somebody = OrgId::generate(&SystemIds::new());
    let mut transaction = pool.begin(&pool.key().badge(somebody)).await?;
    let found: Option<Uuid> = sqlx::query_scalar(TENANT)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let nobody: Option<Uuid> = sqlx::query_scalar(TENANT).fetch_one(pool.bare()).await?;
    Ok(found == Some(somebody.as_uuid()) && nobody.is_none())
}
