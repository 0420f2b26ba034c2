//! What telemetry costs the pipeline of `docs_qa`: the time of a run with it, beside that of a run without.
//!
//! ```sh
//! cargo run --release --example docs_qa_cost
//! ```
//!
//! *full* has a span around every stage and sends traces, metrics and logs to a collector, through a bounded sink; *journal*
//! writes every event to files too. The three take turns, some runs each, one after the other, in one process; the collector
//! has a thread of its own on the same machine. What counts is the median of a run's time in a round, and of the ratios of
//! the rounds. It ends with 1 if *full* is beyond its bound.

#[path = "../docs_qa/answer/mod.rs"]
#[expect(dead_code, reason = "the program has more than the pipeline")]
mod answer;
#[path = "../docs_qa/corpus/mod.rs"]
#[expect(dead_code, reason = "the program has more than the pipeline")]
mod corpus;
#[path = "../docs_qa/language/mod.rs"]
mod language;
mod measure;
#[path = "../docs_qa/passages/mod.rs"]
mod passages;
#[path = "../docs_qa/pipeline/mod.rs"]
#[expect(dead_code, reason = "the program has more than the pipeline")]
mod pipeline;
#[path = "../docs_qa/question/mod.rs"]
mod question;
#[path = "../docs_qa/search/mod.rs"]
mod search;
#[path = "../docs_qa/session/mod.rs"]
mod session;
mod side;

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::measure::Figures;
use crate::side::{BoxError, Collector, Side, Sides};

/// What telemetry costs the pipeline of `docs_qa`.
#[derive(Parser)]
struct Arguments {
    /// How often the sides take turns
    #[arg(long, default_value = "15")]
    rounds: NonZeroUsize,
    /// Runs of a side in a round
    #[arg(long, default_value = "200")]
    runs: NonZeroUsize,
    /// The most that a run may take with telemetry, in times of one without
    #[arg(long, default_value = "1.15")]
    bound: f64,
    /// Measured again so often while it is beyond the bound: a neighbour's load passes, a slip stays
    #[arg(long, default_value = "2")]
    repeats: usize,
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    // Spans of stages are opened, as they are where a program looks at them.
    let ours = Targets::new().with_target("stageflow", tracing::Level::TRACE);
    tracing_subscriber::registry().with(ours).init();
    let collector = Collector::start()?;
    let sides = Sides::new(&collector)?;
    let mut is_held = false;
    for _ in 0..=arguments.repeats {
        let figures = measure::rounds(&sides, arguments.rounds, arguments.runs).await?;
        print(&figures)?;
        is_held = figures.full() <= arguments.bound;
        if is_held {
            break;
        }
    }
    let delivered = sides.finish().await?;
    let bound = arguments.bound;
    let verdict = if is_held { "held" } else { "FAIL" };
    let mut out = io::stdout().lock();
    writeln!(out, "{delivered} events delivered, none lost")?;
    writeln!(out, "p50 of full at most {bound}x: {verdict}")?;
    Ok(ExitCode::from(u8::from(!is_held)))
}

fn print(figures: &Figures) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (side, figure) in &figures.0 {
        writeln!(
            out,
            "{:8}  p50 {:8.1} us {:6.3}x  p99 {:8.1} us {:6.3}x  {:6.0} runs/s {:6.3}x",
            Side::name(*side),
            figure.p50.figure,
            figure.p50.ratio,
            figure.p99.figure,
            figure.p99.ratio,
            figure.per_second.figure,
            figure.per_second.ratio,
        )?;
    }
    Ok(())
}
