//! `logs`: what is in a journal.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// What the command takes: whatever the program takes, see `cargo xtask logs --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// What the program says when a journal cannot be read.
const UNREADABLE: u8 = 2;

/// Builds the program and hands over to it, in the folder it was called in. Its exit code is the command's.
///
/// Cargo does not link it into this program, so what is broken there does not break this one.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["run", "--quiet", "--package", "stageflow-lens"])
        .args(["--features", "tool", "--bin", "stageflow-logs"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(&args.arguments);
    let status = command.status().context("cargo could not be started")?;
    let code = status.code();
    // Without a code it was killed.
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(UNREADABLE))
}
