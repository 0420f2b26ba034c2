//! A Postgres that this starts, with all that makes it keep what it says it has.

use std::error::Error;
use std::num::NonZeroU32;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use stageflow_context::{OrgId, SystemIds};
use stageflow_store::Store as _;
use stageflow_store::conformance::scope_of;
use stageflow_store::postgres::{BadgeKey, PgOptions, PostgresStore, compact, migrate};
use stageflow_testkit::postgres::Cluster;
use tokio::time::Instant;

use crate::common::{audit, commits, erase, reads, say, say_all, write};

const SECRET: [u8; 32] = [0x5a; 32];
const KEY: BadgeKey = BadgeKey::new(1, SECRET);

pub(crate) async fn all() -> Result<(), Box<dyn Error>> {
    println!("Postgres, on a socket");
    let cluster = Cluster::durable().await;
    let owner = cluster.url("postgres", "postgres");
    migrate(&owner, &KEY, &[]).await?;
    let url = cluster.url("sf_app", "postgres");
    let many = const { NonZeroU32::new(16).unwrap() };
    let options = PgOptions::new(KEY).connections(many);
    let store = PostgresStore::connect(&url, options).await?;
    let shapes = [
        (1, 500, 1),
        (16, 100, 1),
        (64, 50, 1),
        (1, 100, 100),
        (8, 50, 100),
    ];
    commits(&store, &shapes).await?;
    reads(&store).await?;
    audit(&store).await?;
    erase(store.clone()).await?;
    let start = Instant::now();
    compact(&owner).await?;
    say_all("all tables written anew", start.elapsed());
    policies(&cluster, &store).await?;
    store.close().await;
    Ok(())
}

/// One row by its key, in one transaction, with the policies and without them.
async fn policies(cluster: &Cluster, store: &PostgresStore) -> Result<(), Box<dyn Error>> {
    const GET: &str = "SELECT key, user_id, at, until, version, body FROM sf.events \
        WHERE org_id = $1 AND key = $2 AND (until IS NULL OR until > $3)";
    const TIMES: usize = 5_000;

    let org = OrgId::generate(&SystemIds::new());
    let shelf = store.open(&scope_of(org, None)).await?;
    write(&*shelf, 1, 2, 500).await?;
    for user in ["sf_app", "postgres"] {
        let url = cluster.url(user, "postgres");
        let mut connection = Box::pin(PgConnection::connect(&url)).await?;
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT set_config('app.org_id', $1, true)")
            .bind(badge(org)?)
            .execute(&mut *transaction)
            .await?;
        let start = Instant::now();
        for number in 0..TIMES {
            let row = sqlx::query(GET)
                .bind(org.as_uuid())
                .bind(format!("0000.{:08}", number % 1_000))
                .bind(0_i64)
                .fetch_one(&mut *transaction)
                .await?;
            assert_eq!(row.len(), 6);
        }
        let what = match user {
            "sf_app" => "one statement, with policies",
            _ => "the same as a superuser, without",
        };
        say(what, TIMES, start.elapsed());
        transaction.commit().await?;
    }
    Ok(())
}

/// As the store signs it: see the manual.
fn badge(org: OrgId) -> Result<String, Box<dyn Error>> {
    let said = format!("{}:1", org.as_uuid().hyphenated());
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET)?;
    mac.update(format!("sf1:{said}").as_bytes());
    let mac = mac.finalize().into_bytes();
    Ok(format!("{said}:{mac:x}"))
}
