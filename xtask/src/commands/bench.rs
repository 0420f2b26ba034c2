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
    /// Every row, few rounds.
    pub(crate) const QUICK: Self = Self {
        quick: true,
        json: None,
        rows: Vec::new(),
    };
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
