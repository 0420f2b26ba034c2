//! Whether the wall stands.

use sqlx::Error;
use stageflow_context::{OrgId, SystemIds};
use uuid::Uuid;

use super::badge::Badge;
use super::failure::failed;
use super::migrate::{NEWEST, tenant_source};
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
    match Box::pin(badges(pool)).await.map_err(failed(DOING))? {
        Badges::Sound => Ok(()),
        Badges::NotOurs => {
            let id = pool.key().id();
            Err(wrong(format!(
                "the database does not take badges of key {id}"
            )))
        }
        Badges::Anybodys => Err(wrong(
            "the database takes badges that nobody has signed".to_owned(),
        )),
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
        .bind(tenant_source())
        .fetch_all(pool.bare())
        .await
}

/// Which badges the database takes.
enum Badges {
    /// Those of others too.
    Anybodys,
    /// Not those of our key.
    NotOurs,
    Sound,
}

/// Whether a badge says in the database what it says here, and one that is not genuine, or none, says nothing.
async fn badges(pool: &Pool) -> sqlx::Result<Badges> {
    let somebody = OrgId::generate(&SystemIds::new());
    let badge = pool.key().badge(somebody);
    if tenant(pool, &badge).await? != Some(somebody.as_uuid()) {
        return Ok(Badges::NotOurs);
    }
    let forged = tenant(pool, &badge.forged()).await?;
    let nobody: Option<Uuid> = sqlx::query_scalar(TENANT).fetch_one(pool.bare()).await?;
    match forged.or(nobody) {
        None => Ok(Badges::Sound),
        Some(_) => Ok(Badges::Anybodys),
    }
}

const TENANT: &str = "SELECT sf.tenant()";

/// Whose turn the database takes it for.
async fn tenant(pool: &Pool, badge: &Badge) -> sqlx::Result<Option<Uuid>> {
    let mut transaction = pool.begin(badge).await?;
    let found = sqlx::query_scalar(TENANT)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(found)
}
