//! The suite as a program: options, progress, a table, a verdict, an exit code.

mod args;

use std::process::ExitCode;

use clap::Parser as _;

use crate::harness::runner::{self, Settings};
use crate::harness::stop::StopSign;
use crate::{Registry, Verdict};
use args::Args;

/// Runs what the command line asks for. The exit code is 0 if everything passed, 1 if something failed, 2 if the suite itself
/// could not be trusted (a control that was not noticed, a scenario that could not be run), 3 for a regression.
pub fn main(registry: &Registry) -> ExitCode {
    let args = Args::parse();
    let settings = Settings {
        seed: args.seed,
        scale: args.scale,
        runtime: args.runtime,
        time: args.time,
        trial: args.trial,
        stop: StopSign::default(),
    };
    let mut worst = Verdict::Pass;
    for scenario in args.chosen(registry) {
        let result = runner::run(scenario, &settings);
        print_line(&result);
        worst = worst.max(result.verdict);
    }
    match worst {
        Verdict::Pass | Verdict::Pending | Verdict::Interrupted => ExitCode::SUCCESS,
        Verdict::Fail | Verdict::TimedOut => ExitCode::from(1),
        Verdict::Error => ExitCode::from(2),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a program talks on its standard output"
)]
fn print_line(result: &crate::ScenarioResult) {
    println!(
        "{:18} {:?} trials {} violations {} controls {}/{} {:.0} ms",
        result.test_id,
        result.verdict,
        result.trials,
        result.violations,
        result.controls.iter().filter(|c| c.detected).count(),
        result.controls.len(),
        result.duration_ms
    );
    for breach in &result.breaches {
        println!(
            "    {:?} {}: {}\n      {}",
            breach.severity, breach.invariant, breach.detail, breach.replay
        );
    }
    for control in result.controls.iter().filter(|control| !control.detected) {
        println!("    not noticed: {} ({})", control.name, control.breaks);
    }
    if let Some(note) = &result.note {
        println!("    {note}");
    }
}
