//! Where the wall has a hole, the same attempts find it: otherwise they would prove nothing.

use std::error::Error as _;

use crate::attempt::TABLES;
use crate::drive::{Found, drive};
use crate::world::{Seeded, Sets, World};

/// Enough to try each kind often.
const ATTEMPTS: u32 = 1_000;

async fn damaged(name: &'static str, world: &World, damage: &str) -> Found {
    for table in TABLES {
        world
            .admin(&damage.replace("IT_", &format!("sf.{table}")))
            .await;
    }
    let found = Box::pin(drive(world, Seeded::named(name).number, ATTEMPTS)).await;
    println!("{name}: {found}");
    assert!(!found.is_clean(), "{name}: it was not noticed");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_are_switched_off_are_seen() {
    let world = World::new().await;
    let found = damaged(
        "no policies",
        &world,
        "ALTER TABLE IT_ DISABLE ROW LEVEL SECURITY",
    )
    .await;
    for kind in [
        "everything",
        "by name",
        "counting",
        "dividing",
        "COPY",
        "COPY into",
        "parameters",
        "a conflict",
        "a view",
        "a prepared statement",
    ] {
        assert!(found.found(kind), "{kind} did not find it: {found}");
    }
}

/// Without one there is nothing, not everything: what is seen is that one's own rows are not there, or cannot be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_was_dropped_is_seen() {
    for (policy, kind) in [
        ("own_read", "everything"),
        ("own_insert", "somebody else's key"),
        ("own_update", "changing"),
        ("own_delete", "deleting"),
    ] {
        let world = World::new().await;
        let found = damaged(policy, &world, &format!("DROP POLICY {policy} ON IT_")).await;
        assert!(found.found(kind), "{policy}: {found}");
        let error = world.store.check().await.unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("lacks a policy"), "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_for_all_is_seen() {
    let world = World::new().await;
    let found = damaged(
        "one policy more",
        &world,
        "CREATE POLICY open ON IT_ FOR SELECT USING (true)",
    )
    .await;
    assert!(
        found.found("everything") && !found.found("a row for somebody else"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_does_not_look_at_what_is_written_is_seen() {
    let world = World::new().await;
    let damage = "ALTER POLICY own_insert ON IT_ WITH CHECK (true)";
    let found = damaged("any row may be written", &world, damage).await;
    assert!(
        found.found("a row for somebody else") && !found.found("everything"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_whom_nothing_forces_is_seen() {
    let world = World::of("owner_app").await;
    let found = damaged(
        "an owner",
        &world,
        "ALTER TABLE IT_ NO FORCE ROW LEVEL SECURITY",
    )
    .await;
    assert!(found.found("everything"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superuser_is_seen() {
    let world = World::of("postgres").await;
    let found = damaged("a superuser", &world, "SELECT 1").await;
    assert!(found.found("everything"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_stays_on_its_connection_is_seen() {
    let mut world = World::new().await;
    world.sets = Sets::Staying;
    world.ours = world.raw.clone();
    let found = damaged("a setting that stays", &world, "SELECT 1").await;
    assert!(found.found("everything"), "{found}");
}

/// A setting of a transaction is gone with it if it fails. One from before is not, however the transaction ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_from_before_the_transaction_is_seen() {
    let mut world = World::new().await;
    world.sets = Sets::Before;
    world.ours = world.raw.clone();
    let found = damaged("a setting from before", &world, "SELECT 1").await;
    for kind in [
        "everything",
        "a transaction that failed",
        "a future that is dropped",
        "a task that panicked",
    ] {
        assert!(found.found(kind), "{kind} did not find it: {found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_on_a_connection_is_seen() {
    let mut world = World::new().await;
    world.ours = world.raw.clone();
    let found = damaged("connections that nobody looks at", &world, "SELECT 1").await;
    assert!(found.found("what somebody left"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_badge_that_nobody_signs_is_seen() {
    let world = World::new().await;
    let plain = "CREATE OR REPLACE FUNCTION sf.tenant() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT NULLIF(split_part(current_setting('app.org_id', true), ':', 1), '')::uuid $$";
    let found = damaged("a plain setting", &world, plain).await;
    assert!(
        found.found("a forged badge") && found.found("a forged badge to write"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_may_be_referred_to_is_seen() {
    for granted in ["REFERENCES", "REFERENCES (org_id, key)"] {
        let world = World::new().await;
        let damage =
            format!("GRANT {granted} ON IT_ TO sf_app; GRANT CREATE ON SCHEMA public TO sf_app");
        let found = damaged("references", &world, &damage).await;
        assert!(found.found("a foreign key"), "{granted}: {found}");
        let error = world.store.check().await.unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("may REFERENCES"), "{granted}: {cause}");
    }
}
