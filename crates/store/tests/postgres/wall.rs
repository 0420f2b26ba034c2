//! A program does not start where the wall between its tenants has a hole.

use std::error::Error as _;

use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, migrate};
use stageflow_store::{Class, Row, Scan, StoreError, StoreErrorKind, Write};

use crate::support::{KEY, Lab};

async fn refused(lab: &Lab, user: &str, key: BadgeKey) -> (StoreErrorKind, String) {
    let connected = PostgresStore::connect(&lab.url(user), PgOptions::new(key)).await;
    told(&connected.unwrap_err())
}

fn told(error: &StoreError) -> (StoreErrorKind, String) {
    let cause = error.source().map(ToString::to_string);
    (error.kind(), cause.unwrap_or_default())
}

#[tokio::test]
async fn nobody_who_can_pass_the_policies_is_let_in() {
    let lab = Lab::start().await;
    lab.admin(
        "CREATE ROLE passes LOGIN BYPASSRLS IN ROLE sf_app;
         CREATE ROLE owns LOGIN IN ROLE sf_owner;
         CREATE ROLE grants LOGIN CREATEROLE IN ROLE sf_app;
         CREATE ROLE copies LOGIN REPLICATION IN ROLE sf_app;
         CREATE ROLE reads_files LOGIN IN ROLE sf_app, pg_read_server_files;
         CREATE ROLE detour NOLOGIN NOINHERIT IN ROLE passes;
         CREATE ROLE by_detour LOGIN IN ROLE sf_app, detour;
         CREATE ROLE plain LOGIN IN ROLE sf_app;",
    )
    .await;
    for (user, why) in [
        (
            "postgres",
            "may become \"postgres\", which passes all policies",
        ),
        ("passes", "may become \"passes\", which passes all policies"),
        ("owns", "the user owns the table \"answers\""),
        (
            "grants",
            "may become \"grants\", which can give itself other roles",
        ),
        (
            "copies",
            "may become \"copies\", which can copy the whole database",
        ),
        ("reads_files", "which reaches the files of the server"),
        (
            "by_detour",
            "may become \"passes\", which passes all policies",
        ),
    ] {
        let (kind, cause) = refused(&lab, user, KEY).await;
        assert_eq!(kind, StoreErrorKind::NotAllowed, "{user}");
        assert!(cause.contains(why), "{user}: {cause}");
    }
    for user in ["plain", "sf_app"] {
        let options = PgOptions::new(KEY);
        PostgresStore::connect(&lab.url(user), options)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_hole_is_found_at_the_start_and_whenever_one_looks() {
    let lab = Lab::start().await;
    let store = lab.store().await;
    store.check().await.unwrap();
    for (make, mend, why) in [
        (
            "ALTER TABLE sf.runs DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE sf.runs ENABLE ROW LEVEL SECURITY",
            "the table \"runs\" has its row-level security switched off",
        ),
        (
            "ALTER TABLE sf.audit NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE sf.audit FORCE ROW LEVEL SECURITY",
            "the table \"audit\" does not force its policies on its owner",
        ),
        (
            "CREATE POLICY open ON sf.events FOR SELECT USING (true)",
            "DROP POLICY open ON sf.events",
            "the table \"events\" lacks a policy, or has one that is not ours",
        ),
        (
            "CREATE POLICY open ON sf.events USING (true)",
            "DROP POLICY open ON sf.events",
            "the table \"events\" has a policy that is not ours",
        ),
        (
            "ALTER POLICY own_read ON sf.answers USING (true)",
            "ALTER POLICY own_read ON sf.answers USING (org_id = (SELECT sf.tenant()))",
            "the table \"answers\" lacks a policy",
        ),
        (
            "ALTER POLICY own_update ON sf.answers WITH CHECK (true)",
            "ALTER POLICY own_update ON sf.answers WITH CHECK (org_id = (SELECT sf.tenant()))",
            "the table \"answers\" lacks a policy",
        ),
        (
            "GRANT TRUNCATE ON sf.documents TO sf_app",
            "REVOKE TRUNCATE ON sf.documents FROM sf_app",
            "the user may TRUNCATE the table \"documents\"",
        ),
        (
            "GRANT REFERENCES (org_id, key) ON sf.documents TO sf_app",
            "REVOKE REFERENCES (org_id, key) ON sf.documents FROM sf_app",
            "the user may REFERENCES the table \"documents\"",
        ),
        (
            "GRANT REFERENCES ON sf.documents TO PUBLIC",
            "REVOKE REFERENCES ON sf.documents FROM PUBLIC",
            "the user may REFERENCES the table \"documents\"",
        ),
        (
            "GRANT SELECT (inner_pad) ON sf.badge_keys TO sf_app",
            "REVOKE SELECT (inner_pad) ON sf.badge_keys FROM sf_app",
            "the user can read the keys of the badges",
        ),
        (
            "ALTER FUNCTION sf.tenant() SECURITY INVOKER",
            "ALTER FUNCTION sf.tenant() SECURITY DEFINER",
            "the function \"tenant\" is not ours",
        ),
        (
            "DROP POLICY own_delete ON sf.runs",
            "CREATE POLICY own_delete ON sf.runs FOR DELETE TO sf_app USING (org_id = (SELECT sf.tenant()))",
            "the table \"runs\" lacks a policy",
        ),
        (
            "ALTER FUNCTION sf.tenant() SET search_path = public",
            "ALTER FUNCTION sf.tenant() SET search_path = pg_catalog, pg_temp",
            "the function \"tenant\" is not ours",
        ),
        (
            "ALTER FUNCTION sf.tenant() IMMUTABLE",
            "ALTER FUNCTION sf.tenant() STABLE",
            "the function \"tenant\" is not ours",
        ),
        (
            "GRANT TEMPORARY ON DATABASE THIS TO PUBLIC",
            "REVOKE TEMPORARY ON DATABASE THIS FROM PUBLIC",
            "the user may make temporary tables",
        ),
        (
            "GRANT CREATE ON SCHEMA sf TO sf_app",
            "REVOKE CREATE ON SCHEMA sf FROM sf_app",
            "the user may make things in the schema \"sf\"",
        ),
    ] {
        lab.admin(&make.replace("THIS", &lab.name)).await;
        for (kind, cause) in [
            refused(&lab, "sf_app", KEY).await,
            told(&store.check().await.unwrap_err()),
        ] {
            assert_eq!((kind, &*cause), (StoreErrorKind::NotAllowed, &*cause));
            assert!(cause.contains(why), "{make}: {cause}");
        }
        lab.admin(&mend.replace("THIS", &lab.name)).await;
        store.check().await.unwrap();
    }
}

#[tokio::test]
async fn tables_of_another_version_are_not_used() {
    let lab = Lab::bare().await;
    let (kind, cause) = refused(&lab, "sf_app", KEY).await;
    assert_eq!(kind, StoreErrorKind::NotAllowed);
    assert!(
        cause.contains("the table \"answers\" is not there"),
        "{cause}"
    );
    migrate(&lab.url("postgres"), &KEY, &[]).await.unwrap();
    lab.store().await;
    lab.admin("INSERT INTO sf.migrations SELECT version + 1, 'later', now(), true, checksum, 0 FROM sf.migrations").await;
    let newer = (
        StoreErrorKind::Newer,
        "its tables are of version 2".to_owned(),
    );
    assert_eq!(refused(&lab, "sf_app", KEY).await, newer);
    let error = migrate(&lab.url("postgres"), &KEY, &[]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Newer);
    lab.admin(
        "DELETE FROM sf.migrations WHERE version > 1; UPDATE sf.migrations SET checksum = '\\x00'",
    )
    .await;
    let error = migrate(&lab.url("postgres"), &KEY, &[]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn many_may_bring_the_tables_up_to_date_at_once() {
    let lab = Lab::bare().await;
    let url = lab.url("postgres");
    let all = (0..8).map(|_| migrate(&url, &KEY, &[]));
    for done in futures_util::future::join_all(all).await {
        done.unwrap();
    }
    lab.store().await;
}

#[tokio::test]
async fn an_owner_who_is_no_superuser_can_do_it() {
    let lab = Lab::start().await;
    lab.admin("CREATE ROLE deploys LOGIN IN ROLE sf_owner")
        .await;
    let again = migrate(&lab.url("deploys"), &KEY, &[]).await;
    again.unwrap();
    let error = migrate(&lab.url("sf_app"), &KEY, &[]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotAllowed, "{error:?}");
}

#[tokio::test]
async fn a_key_is_replaced_while_programs_run() {
    let lab = Lab::start().await;
    let store = lab.store().await;
    let shelf = lab.shelf(&store, 1).await;
    let class = Class::Runs;
    let row = Row::new("a", 1, "x");
    assert!(
        shelf
            .commit(vec![Write::Insert { class, row }])
            .await
            .unwrap()
    );
    let seen = async || shelf.scan(Scan::of(class)).await.unwrap().len();
    let next = BadgeKey::new(2, [0xc3; 32]);
    let (kind, cause) = refused(&lab, "sf_app", next.clone()).await;
    assert_eq!(
        (kind, &*cause),
        (
            StoreErrorKind::NotAllowed,
            "the database does not take badges of key 2"
        )
    );
    // The same number with another secret.
    let forged = BadgeKey::new(1, [0x5b; 32]);
    assert_eq!(
        refused(&lab, "sf_app", forged).await.0,
        StoreErrorKind::NotAllowed
    );

    let url = lab.url("postgres");
    migrate(&url, &KEY, std::slice::from_ref(&next))
        .await
        .unwrap();
    let options = PgOptions::new(next.clone());
    let later = PostgresStore::connect(&lab.url("sf_app"), options)
        .await
        .unwrap();
    assert_eq!(
        (
            seen().await,
            lab.shelf(&later, 1)
                .await
                .scan(Scan::of(class))
                .await
                .unwrap()
                .len()
        ),
        (1, 1)
    );
    migrate(&url, &next, &[]).await.unwrap();
    assert_eq!(seen().await, 0, "a badge of the old key opens nothing");
    store.check().await.unwrap_err();
    later.check().await.unwrap();
    let twice = migrate(&url, &next, std::slice::from_ref(&next))
        .await
        .unwrap_err();
    assert_eq!(twice.kind(), StoreErrorKind::Invalid);
}

#[tokio::test]
async fn messages_have_neither_secrets_nor_what_is_kept() {
    let lab = Lab::start().await;
    let nobody = lab.url("nobody").replace("nobody@", "nobody:hunter2@");
    let error = PostgresStore::connect(&nobody, PgOptions::new(KEY))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotAllowed);
    assert_eq!(
        error.to_string(),
        "SF0716: store, connect to Postgres: the database does not let this user do it; look at the roles of the manual's page"
    );
    let all = format!("{error:?} {:?}", error.source());
    assert!(!all.contains("hunter2"), "{all}");
    let error = PostgresStore::connect("postgres://me:hunter2@[::", PgOptions::new(KEY))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert!(!format!("{error:?}").contains("hunter2"));

    // A table that does not take what it should.
    lab.admin(
        "CREATE FUNCTION sf.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'it says %', NEW.body; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON sf.runs FOR EACH ROW EXECUTE FUNCTION sf.refuse()",
    )
    .await;
    let shelf = lab.shelf(&lab.store().await, 1).await;
    let class = Class::Runs;
    let row = Row::new("a", 1, "hunter2");
    let error = shelf
        .commit(vec![Write::Insert { class, row }])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let mut all = vec![format!("{error} {error:?}")];
    let mut cause = error.source();
    while let Some(error) = cause {
        all.push(format!("{error} {error:?}"));
        cause = error.source();
    }
    assert!(!all.concat().contains("hunter2"), "{all:?}");
}
