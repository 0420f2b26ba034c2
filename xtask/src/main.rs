//! The project's own commands: `cargo xtask <command>`.
//!
//! A command prepares a list of named steps ([`step::Step`]); one runner ([`runner`]) runs them and prints. So every
//! command fails in the same way: the step's name, its output, what to do about it, and a last line that counts.
//!
//! The package knows nothing of the library: it must build and complain when nothing else compiles.

#![expect(
    clippy::print_stdout,
    reason = "a command-line program talks on its standard output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "steps are timed on the machine's clock: no run of ours is measured"
)]

mod commands;
mod errors;
mod files;
mod layers;
mod literals;
mod random;
mod runner;
mod runtime;
mod step;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use commands::{bench, ci, docs, features, lint, live, logs, package, props, stress, test};
use runner::Show;
use step::Step;
use workspace::Workspace;
use xshell::Shell;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match prepare_and_run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Stageflow's own commands. `cargo xtask ci` is what must pass before a change lands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must pass before a change lands, in one table
    Ci,
    /// Format, clippy, rustdoc, layers, tidy and error pages
    Lint(lint::Args),
    /// Unit, behaviour, compile-fail and documentation tests
    Test(test::Args),
    /// The property suites, with more cases and a seed that repeats them
    Props(props::Args),
    /// No dependency arrow that the drawing in the architecture page does not have
    Layers,
    /// Style rules that no compiler lint covers
    Tidy,
    /// Every error code has its page, and every page its code
    Errors(errors::Args),
    /// The API documentation, warnings denied
    Docs(docs::Args),
    /// The stress suite, which has to notice a broken engine too
    Stress(stress::Args),
    /// What is in a journal: what does not fit together, what happened under an id, a run drawn again
    Logs(logs::Args),
    /// Shows a journal while it is written
    Live(live::Args),
    /// Stageflow beside hand-written tokio
    Bench(bench::Args),
    /// Each published crate builds alone, without and with all features
    Features,
    /// Each published crate can be packaged and built from its package
    Package,
}

/// Runs a command: a failed step is a failure, the suite's exit code is its own.
fn prepare_and_run(task: Task) -> anyhow::Result<ExitCode> {
    let sh = Shell::new()?;
    let workspace = Workspace::load(&sh)?;
    sh.change_dir(&workspace.root);
    if let Task::Errors(args) = &task
        && !args.check
    {
        return errors::list(&workspace.root).map(|()| ExitCode::SUCCESS);
    }
    if let Task::Stress(args) = &task {
        return stress::run(args, &workspace.root).map(ExitCode::from);
    }
    if let Task::Logs(args) = &task {
        return logs::run(args, &workspace.root).map(ExitCode::from);
    }
    if let Task::Live(args) = &task {
        return live::run(args, &workspace.root).map(ExitCode::from);
    }
    let show = if matches!(task, Task::Ci) {
        Show::OnFailure
    } else {
        Show::Live
    };
    let steps = steps(task, &sh, &workspace)?;
    Ok(match runner::run(steps, show, &workspace.target)? {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn steps(task: Task, sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<Step>> {
    match task {
        Task::Ci => ci::steps(sh, workspace),
        Task::Lint(args) => Ok(lint::steps(&args, sh, workspace)),
        Task::Test(args) => test::steps(&args, sh, workspace),
        Task::Props(args) => props::steps(&args, sh, workspace),
        Task::Layers => Ok(lint::layers(sh, workspace)),
        Task::Tidy => Ok(vec![lint::tidy(workspace)]),
        Task::Errors(_) => Ok(vec![lint::errors(workspace)]),
        Task::Docs(args) => Ok(vec![docs::step(&args, sh)]),
        Task::Bench(args) => Ok(bench::steps(&args, sh)),
        // They are no lists of steps: they were handed over to before.
        Task::Live(_) | Task::Logs(_) | Task::Stress(_) => Ok(Vec::new()),
        Task::Features => Ok(features::steps(sh, workspace)),
        Task::Package => package::steps(sh, workspace),
    }
}
