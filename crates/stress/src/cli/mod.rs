//! The suite as a program: options, progress, a table, a verdict, a report, an exit code.

mod args;
mod compare;
mod progress;
mod session;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::harness::runner::Settings;
use crate::harness::stop::StopSign;
use crate::report::baselines::{Baselines, Change};
use crate::report::environment::Environment;
use crate::report::facts::{Facts, Known};
use crate::report::stamp::Stamp;
use crate::report::{Report, folder, summary};
use crate::{Registry, Tier};
use args::{Args, Task};
use progress::Progress;
use session::{HARD_STOP, Plan, Session, Stopped};

/// The suite cannot say anything.
const HARNESS: u8 = 2;
/// A number is worse than it was.
const REGRESSION: u8 = 3;

type Failure = Box<dyn std::error::Error>;

/// Runs what the command line asks for. The exit code is 0 if everything passed, 1 if something failed or was not reached, 2
/// if the suite itself could not be trusted (a control that was not noticed, a scenario that could not be run), 3 for a
/// regression. A failure outranks the rest: it is the news.
#[must_use]
pub fn main(registry: &Registry) -> ExitCode {
    if let Some(code) = crate::scenarios::m4_child_if_asked() {
        return code;
    }
    match dispatch(&Args::parse(), registry) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::from(HARNESS)
        }
    }
}

fn dispatch(args: &Args, registry: &Registry) -> Result<u8, Failure> {
    if let Some(Task::Compare { before, after }) = &args.command {
        let comparison = compare::of(before, after)?;
        say(&comparison.text());
        return Ok(u8::from(comparison.is_worse()));
    }
    if args.list {
        say(&table::list(registry.iter()));
        return Ok(0);
    }
    suite(args, registry)
}

/// Runs scenarios, reports, and gives the exit code.
fn suite(args: &Args, registry: &Registry) -> Result<u8, Failure> {
    let chosen = args.chosen(registry)?;
    // Before anything is run: a typo should not cost five minutes.
    let baseline = args.baseline.as_deref().map(Baselines::read).transpose()?;
    let plan = Plan {
        chosen,
        settings: Settings {
            seed: args.seed,
            scale: args.scale,
            runtime: args.runtime,
            time: args.time,
            trial: args.trial,
            stop: StopSign::default(),
        },
        duration: args.duration,
        hard_stop: hard_stop(args),
    };
    let started = Stamp::now();
    let progress = Progress::new(plan.chosen.len());
    let session = session::run(&plan, &progress);
    let peer = peer(args);
    let facts = facts(args, registry, session, baseline.as_ref(), started, peer);
    finish(args, facts)
}

/// The daily suite ends after five minutes, whatever it does.
fn hard_stop(args: &Args) -> Option<std::time::Duration> {
    let whole = args.only.is_empty() && args.duration.is_none() && args.scale == 1;
    (whole && args.tier <= Tier::Daily).then_some(HARD_STOP)
}

fn peer(args: &Args) -> BTreeMap<String, f64> {
    let Some(peer) = args.peer else {
        return BTreeMap::new();
    };
    crate::peer::measure(peer).unwrap_or_else(|error| {
        complain(&error.to_string());
        BTreeMap::new()
    })
}

fn facts(
    args: &Args,
    registry: &Registry,
    session: Session,
    baseline: Option<&Baselines>,
    started: Stamp,
    peer: BTreeMap<String, f64>,
) -> Facts {
    let environment = Environment::look();
    let now = Baselines::of(&session.results, &environment);
    let regressions = baseline
        .map(|before| regressions(before, &now))
        .unwrap_or_default();
    let exit_code = match Facts::code_of(&session.results) {
        0 if !regressions.is_empty() => REGRESSION,
        code => code,
    };
    let stopped = session.stopped.map(|stopped| match stopped {
        Stopped::ByHand => "it was stopped by hand".to_owned(),
        Stopped::OutOfTime => format!("it was stopped after {} s", HARD_STOP.as_secs()),
    });
    Facts {
        left_out: Known::all_but(registry, &session.results),
        results: session.results,
        tier: args.tier,
        theme: args.theme,
        seed: args.seed,
        scale: args.scale,
        runtime: args.runtime,
        time: args.time,
        started,
        completed: Stamp::now(),
        wall: session.wall,
        stopped,
        environment,
        regressions,
        peer,
        exit_code,
    }
}

fn regressions(before: &Baselines, now: &Baselines) -> Vec<Change> {
    if !now.same_machine(before) {
        complain("the baseline is of another machine: its times say little");
    }
    now.regressions_since(before)
}

/// Writes the report and says how it went.
fn finish(args: &Args, facts: Facts) -> Result<u8, Failure> {
    let report = if args.no_report {
        Report::of(facts, "not written".to_owned())
    } else {
        let (path, name) = folder::create(&args.out, &facts)?;
        let report = Report::of(facts, name);
        folder::write(&path, &report)?;
        tell(args, &report, Some(&path))?;
        return Ok(report.facts.exit_code);
    };
    tell(args, &report, None)?;
    Ok(report.facts.exit_code)
}

fn tell(args: &Args, report: &Report, path: Option<&Path>) -> Result<(), Failure> {
    if args.json {
        say(&serde_json::to_string_pretty(&summary::of(report))?);
        return Ok(());
    }
    let facts = &report.facts;
    say(&table::results(&facts.results));
    let problems = table::problems(&facts.results);
    if !problems.is_empty() {
        say(&problems);
    }
    if !facts.regressions.is_empty() {
        say(&format!(
            "Worse than the baseline:\n{}",
            table::changes(&facts.regressions)
        ));
    }
    if let Some(stopped) = &facts.stopped {
        say(&format!(
            "{stopped}; what was not reached is not known to pass"
        ));
    }
    for (name, value) in &facts.peer {
        say(&format!("peer {name}: {value}"));
    }
    say(&table::closing(report));
    if let Some(path) = path {
        say(&format!("{}", path.join("report.html").display()));
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "a program talks on its standard output"
)]
fn say(text: &str) {
    println!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "a program complains on its standard error"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}
