//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Answers questions over HTTP, for several tenants, each over its own documents.
#[derive(Clone, Debug, Parser)]
#[command(name = "service")]
pub(crate) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Folder of the files: one SQLite file for each tenant, and the service's secret
    #[arg(long, value_name = "FOLDER", default_value = "service-data")]
    pub(crate) data: PathBuf,

    /// Keep everything in this Postgres instead, as a user who owns nothing there
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Make the tables first, as the user they will belong to
    #[arg(long, value_name = "URL", requires = "database_url")]
    pub(crate) migrate_url: Option<String>,

    /// Take tokens of this identity provider (OpenID Connect) instead of making two for trying out
    #[arg(long, value_name = "URL", requires = "audience")]
    pub(crate) issuer: Option<String>,

    /// What those tokens are for
    #[arg(long, value_name = "NAME", requires = "issuer")]
    pub(crate) audience: Option<String>,

    /// What tokens allow, these Cedar policies must permit as well (needs the feature `cedar`)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Print who was refused at the door, checked against the service's secret, and end
    #[arg(long)]
    pub(crate) refused: bool,

    /// How long requests may go on after the service was told to stop, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("give a whole number up to 3600".to_owned()),
    }
}
