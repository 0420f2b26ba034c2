//! What stores cost on this machine: `cargo run --release -p stageflow-store --example speed --features testing,postgres`.
//!
//! A row has the size of an event, 256 bytes. A commit is on the disk when it counts. Without the feature `postgres` there are
//! files alone.

#![expect(clippy::print_stdout, reason = "it is what the program is for")]

mod common;
mod files;
#[cfg(feature = "postgres")]
mod server;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    files::all().await?;
    #[cfg(feature = "postgres")]
    Box::pin(server::all()).await?;
    Ok(())
}
