//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Stageflow beside hand-written tokio.
#[derive(Parser)]
#[command(name = "stageflow-benches", after_help = after_help())]
pub(crate) struct Args {
    /// Fewer rounds: good enough to see a slip, not to quote
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the figures to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Only these rows; without any, all of the table
    #[arg(value_name = "ROW")]
    pub(crate) rows: Vec<String>,
}

impl Args {
    /// Reads the command line, or ends the program with what is wrong about it.
    pub(crate) fn read() -> Self {
        Self::parse()
    }
}

fn after_help() -> String {
    let rows = crate::rows::ALL
        .iter()
        .map(|row| format!("  {:6}  {}\n", row.name, row.about));
    format!("Rows:\n{}", rows.collect::<String>())
}
