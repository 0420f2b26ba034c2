//! Stageflow beside hand-written tokio, measured in one process.
//!
//! ```text
//!  topology ──► limits ──┐
//!     │                  ├──► rows ──► harness ──► report: table, JSON, exit code
//!     └────────► ours ───┘
//! ```
//!
//! Each row of the table sets Stageflow beside the cheapest program that a person would write by hand for that one
//! case, its *limit*, and compares the two as a ratio: nanoseconds belong to a machine, ratios travel further. "B" is the
//! bare engine (no interceptors, no sink), "D" the default one (`subject::Mode` says what is on). A row fails only beyond
//! twice its bound, because a shared machine is noisy; between one and two times it says "over".

#![expect(clippy::print_stdout, reason = "the table is this program's output")]
#![expect(
    clippy::disallowed_methods,
    reason = "wall time is what is measured, and the hand-written side spawns as a person would"
)]

mod account;
mod alloc;
mod args;
mod control;
mod door;
mod emit;
mod harness;
mod instructions;
mod layers;
mod limits;
mod neighbours;
mod ours;
mod report;
mod rows;
mod stage;
mod subject;
mod topology;

use std::process::ExitCode;

pub use alloc::Allocated;

/// Measures the rows asked for on the command line and prints the table.
///
/// Fails when a row is beyond twice its bound, or when the command line names a row that there is not.
#[must_use]
pub fn table() -> ExitCode {
    if let Some(once) = instructions::Once::from_command_line() {
        return once.run();
    }
    let args = args::Args::read();
    let lines = match rows::run(&args) {
        Ok(lines) => lines,
        Err(unknown) => {
            println!("error: {unknown}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", report::table(&lines));
    if let Some(file) = &args.json
        && let Err(error) = std::fs::write(file, report::json(&lines, args.quick))
    {
        println!("error: cannot write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    println!("{}", report::summary(&lines));
    if lines.iter().any(report::Line::fails) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Counts allocations with the measuring function of a program that has a counting allocator, and prints the figures.
#[must_use]
pub fn counts(measure: fn(&mut dyn FnMut()) -> Allocated) -> ExitCode {
    for (name, value) in alloc::count_all(measure) {
        println!("{name} {value}");
    }
    ExitCode::SUCCESS
}
