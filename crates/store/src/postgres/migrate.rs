//! The tables, the roles and the policies: made and brought up to date by the owner.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::BadgeKey;
use super::failure::{failed, not_migrated};
use super::statements;
use crate::{Class, StoreError, StoreErrorKind};

/// The version of the tables that this program knows.
pub(super) const NEWEST: i64 = 1;

const DOING: &str = "bring the tables up to date";

/// Several programs that start at the same time wait for each other under this number.
const LOCK: &str = "SELECT pg_advisory_lock(7306084520162951781)";

/// Roles are shared by all databases of a server: another one may have made them, or be about to. What is temporary could be left
/// on a connection, so nobody makes it unless they are told that they may. Parameters are what is kept, and badges: they are not for
/// the server's log. Only a superuser can say so; who is none leaves it as it is.
const ROLES: &str = "DO $body$ BEGIN
    IF to_regrole('sf_owner') IS NULL THEN
        CREATE ROLE sf_owner NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $body$;
DO $body$ BEGIN
    IF to_regrole('sf_app') IS NULL THEN
        CREATE ROLE sf_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $body$;
DO $body$ BEGIN
    IF NOT pg_has_role(current_user, 'sf_owner', 'MEMBER') THEN
        GRANT sf_owner TO CURRENT_USER;
    END IF;
    IF to_regnamespace('sf') IS NULL THEN
        CREATE SCHEMA sf AUTHORIZATION sf_owner;
    END IF;
END $body$;
DO $body$ BEGIN
    IF has_database_privilege('public', current_database(), 'TEMPORARY') AND EXISTS (
        SELECT FROM pg_database WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'USAGE'))
    THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END $body$;
DO $body$ BEGIN
    EXECUTE format('ALTER ROLE sf_app IN DATABASE %I SET log_parameter_max_length_on_error = 0', current_database());
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL; END $body$;
DO $body$ BEGIN
    EXECUTE format('ALTER ROLE sf_app IN DATABASE %I SET log_parameter_max_length = 0', current_database());
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL; END $body$;
SET ROLE sf_owner;
SET search_path = pg_catalog, pg_temp";

/// Makes the roles `sf_owner` and `sf_app`, the schema `sf`, its tables and their policies, or brings them up to date, and
/// lets the database take badges of these keys and of no others. Nothing is done twice, and several programs may do it at the
/// same time.
///
/// `url` is of a user who may make roles and a schema: a superuser, or one with `CREATEROLE` to whom the database belongs. Where
/// somebody else made `sf_owner` and `sf_app` and the schema beforehand, a member of `sf_owner` is enough. Programs never need this user; they
/// [connect](super::PostgresStore::connect) as `sf_app`, or as a member of it. `sf_app` is made without a password: give it one,
/// or let the database know it by its socket or its certificate.
///
/// # Another key
///
/// 1. `migrate(url, &old, &[new])`: both are taken.
/// 2. Start the programs again with the new key.
/// 3. `migrate(url, &new, &[])`: badges of the old key open nothing any more, from the next statement on.
///
/// # Errors
///
/// [`StoreError`] of the kind [`Newer`](StoreErrorKind::Newer) if the tables were made by a newer program,
/// [`NotAllowed`](StoreErrorKind::NotAllowed) if this user may not do it, [`Corrupt`](StoreErrorKind::Corrupt) if what an earlier program did is
/// not what this one knows of it, [`Invalid`](StoreErrorKind::Invalid) if two keys have the same number.
///
/// # Cancellation
///
/// May be dropped at any point and called again: each step is done wholly, or not at all.
pub async fn migrate(url: &str, key: &BadgeKey, also: &[BadgeKey]) -> Result<(), StoreError> {
    let keys: Vec<&BadgeKey> = also.iter().chain([key]).collect();
    let twice = |at: usize| keys[..at].iter().any(|other| other.id() == keys[at].id());
    if (0..keys.len()).any(twice) {
        let error = StoreError::new(StoreErrorKind::Invalid, "take the keys of the badges");
        return Err(error.because("two keys have the same number"));
    }
    let options: PgConnectOptions = url.parse().map_err(failed(DOING))?;
    let mut connection = options.connect().await.map_err(failed(DOING))?;
    sqlx::raw_sql(LOCK)
        .execute(&mut connection)
        .await
        .map_err(failed(DOING))?;
    sqlx::raw_sql(ROLES)
        .execute(&mut connection)
        .await
        .map_err(failed(DOING))?;
    let migrator = migrations();
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .map_err(not_migrated)?;
    set_keys(&mut connection, &keys)
        .await
        .map_err(failed("set the keys of the badges"))?;
    connection.close().await.map_err(failed(DOING))
}

/// Takes away the bytes of everything that was ever deleted or written over: writes each table anew. `url` is of a user as for
/// [`migrate`]; a member of `sf_owner` is enough. Each table is closed to everybody while it is written: minutes for one of many
/// gigabytes. Postgres's log for replication and crashes keeps the bytes until it is written over, which a checkpoint alone does
/// not do (`wal_recycle`), and copies keep them as long as you keep those.
///
/// # Errors
///
/// [`StoreError`] of the kind [`NotAllowed`](StoreErrorKind::NotAllowed) if this user may not do it, and
/// [`Unavailable`](StoreErrorKind::Unavailable) if the database does not answer.
///
/// # Cancellation
///
/// May be dropped at any point and called again: a table is written wholly, or not at all.
pub async fn compact(url: &str) -> Result<(), StoreError> {
    const DOING: &str = "write the tables anew";
    let options: PgConnectOptions = url.parse().map_err(failed(DOING))?;
    let mut connection = Box::pin(options.connect()).await.map_err(failed(DOING))?;
    // One by one: it cannot be done in a transaction.
    let first = ["SET ROLE sf_owner"].into_iter();
    for statement in first.chain(Class::ALL.map(|class| statements::of(class).compact)) {
        let done = sqlx::raw_sql(statement).execute(&mut connection);
        done.await.map_err(failed(DOING))?;
    }
    sqlx::Connection::close(connection)
        .await
        .map_err(failed(DOING))
}

const TABLES: &str = include_str!("migration_1.sql");

/// What the function that reads badges does: the first text in there. If it is not found, no function is the right one.
pub(super) fn tenant_source() -> &'static str {
    TABLES.split("$body$").nth(1).unwrap_or_default()
}

fn migrations() -> Migrator {
    let first = Migration::new(
        1,
        Cow::Borrowed("tables"),
        MigrationType::Simple,
        TABLES.into_sql_str(),
        false,
    );
    let mut migrator = Migrator::with_migrations(vec![first]);
    migrator.dangerous_set_table_name("sf.migrations");
    migrator
}

async fn set_keys(connection: &mut PgConnection, keys: &[&BadgeKey]) -> sqlx::Result<()> {
    let ids: Vec<i32> = keys.iter().map(|key| key.id().into()).collect();
    let mut transaction = connection.begin().await?;
    sqlx::query("DELETE FROM sf.badge_keys WHERE id <> ALL($1)")
        .bind(ids)
        .execute(&mut *transaction)
        .await?;
    for key in keys {
        let [inner, outer] = key.pads();
        let set = "INSERT INTO sf.badge_keys (id, inner_pad, outer_pad) VALUES ($1, $2, $3) \
            ON CONFLICT (id) DO UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad";
        sqlx::query(set)
            .bind(i32::from(key.id()))
            .bind(&inner[..])
            .bind(&outer[..])
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}
