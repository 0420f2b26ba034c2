//! `bench`: Stageflow beside hand-written tokio, in one process.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::step::Step;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer rounds: good enough to see a slip, not to quote
    #[arg(long)]
    quick: bool,
    /// Write the figures to this file too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only these rows of the table, by number; `limits` for the hand-written side alone
    rows: Vec<String>,
}

impl Args {
    /// A gate for every change: few rounds, and the rows whose limit does the same kind of work, so that the ratio holds on
    /// any machine. The others are compared with loops of a dozen nanoseconds, where the price of one atomic decides; what
    /// they allocate is counted by tests.
    pub(crate) fn gate() -> Self {
        Self {
            quick: true,
            json: None,
            rows: ["3", "10", "14", "18"].map(str::to_owned).to_vec(),
        }
    }
}

/// Builds both programs, because allocations are counted by one of their own, then runs the table.
pub(crate) fn steps(args: &Args, sh: &Shell) -> Vec<Step> {
    let quick = args.quick.then_some("--quick");
    let json = args
        .json
        .iter()
        .flat_map(|file| ["--json".into(), file.clone().into_os_string()]);
    let (json, rows) = (json.collect::<Vec<_>>(), &args.rows);
    vec![
        Step::program(
            "build the benches",
            cmd!(sh, "cargo build --release -p stageflow-benches"),
            "the benches use the public API: adapt benches/src/ours.rs",
        ),
        Step::program(
            "benches",
            cmd!(
                sh,
                "cargo run --quiet --release -p stageflow-benches -- {quick...} {json...} {rows...}"
            ),
            "a row marked FAIL is beyond twice its bound: repeat it with `cargo xtask bench ROW`",
        ),
    ]
}
