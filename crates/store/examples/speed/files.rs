//! Files.

use std::error::Error;

use stageflow_store::{SqliteOptions, SqliteStore};

use crate::common::{audit, commits, erase, reads};

pub(crate) async fn all() -> Result<(), Box<dyn Error>> {
    println!("files");
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path(), SqliteOptions::new())?;
    let shapes = [
        (1, 500, 1),
        (16, 100, 1),
        (64, 50, 1),
        (256, 20, 1),
        (1, 100, 100),
        (8, 50, 100),
    ];
    commits(&store, &shapes).await?;
    reads(&store).await?;
    audit(&store).await?;
    erase(store.clone()).await?;
    store.close().await;
    Ok(())
}
