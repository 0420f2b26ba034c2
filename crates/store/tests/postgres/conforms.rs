//! It does what every store must.

use stageflow_store::conformance;
use stageflow_store::postgres::{PgOptions, PostgresStore};

use crate::support::{KEY, Lab};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_on_a_server() {
    let lab = Lab::start().await;
    let url = lab.url("sf_app");
    conformance::check(async |clock| {
        let options = PgOptions::new(KEY).wall_clock(clock);
        PostgresStore::connect(&url, options).await.unwrap()
    })
    .await;
}
