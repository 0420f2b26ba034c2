//! Shows a journal while it is written: `stageflow-live FILE|FOLDER [--follow]`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stageflow_lens::live::{JournalFeed, LiveView, Look, Reading};

/// Shows what a journal tells: on a screen if there is one, as plain lines in a pipe.
#[derive(Parser)]
#[command(name = "cargo xtask live", bin_name = "cargo xtask live")]
struct Cli {
    /// The journal, a line of JSON a record: a file of it, or its folder
    file: PathBuf,
    /// Wait for what is appended, as `tail -f` does, and go on in the journal's next file
    #[arg(long)]
    follow: bool,
    /// Plain lines, also where there is a screen
    #[arg(long)]
    lines: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match show(&cli).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has gone: nothing is wrong.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(&cli, &error),
    }
}

async fn show(cli: &Cli) -> io::Result<()> {
    let reading = if cli.follow {
        Reading::Follow
    } else {
        Reading::Whole
    };
    let look = if cli.lines {
        Look::Lines
    } else {
        Look::of_stdout()
    };
    let feed = JournalFeed::open(&cli.file, reading)?;
    LiveView::new().run(feed, look).await.map(drop)
}

#[expect(
    clippy::print_stderr,
    reason = "a command-line program complains on its standard error"
)]
fn complain(cli: &Cli, error: &io::Error) -> ExitCode {
    eprintln!("error: {}: {error}", cli.file.display());
    ExitCode::FAILURE
}
