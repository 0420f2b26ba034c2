//! `stress`: the suite that can fail.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::step::Step;

/// What the command takes: whatever the suite's own program takes, see `cargo xtask stress --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// A gate for every change: the quick part of the suite. What it builds is the same
/// as for [`run`].
pub(crate) fn gate(sh: &Shell) -> Step {
    Step::program(
        "stress",
        cmd!(
            sh,
            "cargo run --release --package stageflow-stress --features sabotage -- --tier smoke"
        ),
        "each finding comes with the command that repeats it; docs/stress/playbook.md says how to read it",
    )
}

/// What the suite itself says when it cannot be trusted.
const HARNESS: u8 = 2;

/// Builds the suite with its saboteur and hands over to it. Its exit code is the command's: see the suite's own help.
///
/// Cargo does not link the suite into this program, so what is broken there does not break this one.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<u8> {
    // Said aloud: the first build takes minutes.
    let built = cargo("build", root).status();
    if !built.context("cargo could not be started")?.success() {
        return Ok(HARNESS);
    }
    let mut command = cargo("run", root);
    command.args(["--quiet", "--"]).args(&args.arguments);
    hand_over(command).context("the suite could not be started")
}

fn cargo(what: &str, root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([what, "--release", "--package", "stageflow-stress"])
        .args(["--features", "sabotage"])
        .current_dir(root);
    command
}

/// Becomes the suite, so that a key to stop reaches it and nothing else waits for it.
#[cfg(unix)]
fn hand_over(mut command: Command) -> anyhow::Result<u8> {
    use std::os::unix::process::CommandExt as _;
    // Only comes back if it fails.
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn hand_over(mut command: Command) -> anyhow::Result<u8> {
    let code = command.status()?.code();
    // Without a code it was killed.
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(HARNESS))
}
