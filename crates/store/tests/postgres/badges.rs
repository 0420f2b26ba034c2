//! Who reads badges, where they are written down, and what nobody can leave on a connection.

use std::error::Error as _;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use stageflow_store::postgres::{PgOptions, PostgresStore, migrate};
use stageflow_store::{Class, Row, Store as _, StoreErrorKind, Write};
use stageflow_testkit::postgres::Cluster;

use crate::support::{KEY, Lab, org, scope};

/// The function that reads badges, as somebody else would write it who may: it takes the first part for whoever shows it.
const BELIEVES: &str = "CREATE OR REPLACE FUNCTION sf.tenant() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ BEGIN RETURN NULLIF(split_part(current_setting('app.org_id', true), ':', 1), '')::uuid; END $$";

#[tokio::test]
async fn a_function_that_believes_anybody_is_found() {
    let lab = Lab::start().await;
    let store = lab.store().await;
    lab.admin(BELIEVES).await;
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotAllowed);
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "the function \"tenant\" is not ours");
    let refused = PostgresStore::connect(&lab.url("sf_app"), PgOptions::new(KEY)).await;
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::NotAllowed);
}

/// The function is ours, and what it asks is not: to this database everything has the same hash.
#[tokio::test]
async fn badges_that_nobody_has_signed_are_tried() {
    let lab = Lab::start().await;
    lab.admin(
        "ALTER FUNCTION pg_catalog.sha256(bytea) RENAME TO sha256_before;
         CREATE FUNCTION pg_catalog.sha256(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS
             $$ SELECT '\\x00'::bytea $$",
    )
    .await;
    // On a connection of its own: where the function was called before, Postgres goes on with the hash that it found then.
    let error = PostgresStore::connect(&lab.url("sf_app"), PgOptions::new(KEY)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotAllowed);
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "the database takes badges that nobody has signed");
}

#[tokio::test]
async fn nobody_makes_what_is_temporary() {
    let lab = Lab::start().await;
    let mut connection = lab.connect("sf_app").await;
    for sql in [
        "CREATE TEMP TABLE t AS SELECT 1 AS one",
        "CREATE TEMP VIEW t AS SELECT 1 AS one",
        "CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TEMP SEQUENCE s",
    ] {
        let made = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
        let error = made.await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, "42501", "{sql}");
    }
}

/// With a badge from a log anybody could be that tenant.
#[tokio::test]
async fn no_badge_and_nothing_that_is_kept_is_in_the_servers_log() {
    let cluster = Cluster::start().await;
    let admin = cluster.url("postgres", "postgres");
    migrate(&admin, &KEY, &[]).await.unwrap();
    let mut superuser = Box::pin(PgConnection::connect(&admin)).await.unwrap();
    for sql in [
        "ALTER SYSTEM SET log_statement = 'all'",
        "ALTER SYSTEM SET log_min_duration_statement = 0",
        "ALTER SYSTEM SET log_parameter_max_length_on_error = -1",
        "SELECT pg_reload_conf()",
    ] {
        sqlx::raw_sql(sql).execute(&mut superuser).await.unwrap();
    }
    let url = cluster.url("sf_app", "postgres");
    let store = PostgresStore::connect(&url, PgOptions::new(KEY))
        .await
        .unwrap();
    let shelf = store.open(&scope(org(1))).await.unwrap();
    let class = Class::Documents;
    let row = Row::new("canary-key", 1, "canary-body");
    assert!(shelf.commit(vec![Write::Put { class, row }]).await.unwrap());
    let statement = "INSERT INTO sf.documents AS old";
    assert!(
        cluster.log().contains(statement),
        "otherwise this says nothing"
    );
    for secret in ["canary-key", "canary-body", &*org(1).as_uuid().to_string()] {
        assert!(!cluster.log().contains(secret), "{secret} is in the log");
    }
}
