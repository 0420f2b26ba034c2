//! The same on a Postgres of the test's own.

use clap::Parser as _;
use stageflow_testkit::postgres::Cluster;

use super::support::Setup;
use super::tenants::own_documents;
use crate::cli::Arguments;
use crate::database::Database;
use crate::demo::ACME;
use crate::secrets::Secrets;

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_is_answered_from_its_own_documents_in_a_postgres() {
    let cluster = Cluster::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secrets = Secrets::load(&folder.path().join("secret")).unwrap();
    let (owner, user) = (
        cluster.url("postgres", "postgres"),
        cluster.url("sf_app", "postgres"),
    );
    let arguments = ["service", "--database-url", &user, "--migrate-url", &owner];
    let arguments = Arguments::parse_from(arguments);
    let database = Database::open(&arguments, &secrets).await.unwrap();
    let running = Setup::new().database(database).start().await;
    own_documents(&running).await;
    running.stop().await;

    // Another start needs the tables no more; what was there is there.
    let arguments = Arguments::parse_from(["service", "--database-url", &user]);
    let database = Database::open(&arguments, &secrets).await.unwrap();
    let running = Setup::new().database(database).start().await;
    let answer = running.ask(ACME, "Where does the xylophonist play?").await;
    assert_eq!(answer["outcome"], "answered", "{answer}");
    running.stop().await;
}
