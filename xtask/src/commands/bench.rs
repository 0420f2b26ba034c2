//! `bench`: Stageflow beside hand-written tokio, in one process.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::step::Step;

/// What is not a row of the table, but a program of its own.
const TELEMETRY: &str = "telemetry";

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer rounds: good enough to see a slip, not to quote
    #[arg(long)]
    quick: bool,
    /// Write the figures to this file too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only these rows of the table, by number; `limits` for the hand-written side alone, `telemetry` for what telemetry costs
    /// the pipeline of `docs_qa`
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
            rows: ["3", "10", "12", "13", "14", "18", TELEMETRY]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

/// Builds both programs, because allocations are counted by one of their own, then runs the table; and what telemetry costs.
pub(crate) fn steps(args: &Args, sh: &Shell) -> Vec<Step> {
    let mut steps = Vec::new();
    let asks_for = |row: &String| row == TELEMETRY;
    if args.rows.is_empty() || !args.rows.iter().all(asks_for) {
        steps.extend(table(args, sh));
    }
    if args.rows.is_empty() || args.rows.iter().any(asks_for) {
        steps.push(telemetry(args, sh));
    }
    steps
}

fn table(args: &Args, sh: &Shell) -> [Step; 2] {
    let quick = args.quick.then_some("--quick");
    let json = args
        .json
        .iter()
        .flat_map(|file| ["--json".into(), file.clone().into_os_string()]);
    let json = json.collect::<Vec<_>>();
    let rows = args.rows.iter().filter(|row| *row != TELEMETRY);
    [
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

/// The pipeline of `docs_qa` with telemetry beside the same without: the median of a run, and its bound.
fn telemetry(args: &Args, sh: &Shell) -> Step {
    let (rounds, runs) = if args.quick {
        ("7", "100")
    } else {
        ("15", "200")
    };
    Step::program(
        "what telemetry costs",
        cmd!(
            sh,
            "cargo run --quiet --release -p stageflow-examples --example docs_qa_cost -- --rounds {rounds} --runs {runs}"
        ),
        "repeat it with `cargo xtask bench telemetry`: what a run waits for, or what the exporter's task does, got slower",
    )
}
