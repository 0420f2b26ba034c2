//! The table: what Stageflow costs beside hand-written tokio. `--help` says what it takes.

use std::process::ExitCode;

fn main() -> ExitCode {
    stageflow_benches::table()
}
