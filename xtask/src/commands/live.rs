//! `live`: shows a journal while it is written.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// What the command takes: whatever the view's own program takes, see `cargo xtask live --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds the view and starts it where the caller stands, so that a path means what it says. Its exit code is the command's.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["run", "--quiet", "--package", "stageflow-lens"])
        .args(["--features", "live,tool", "--bin", "stageflow-live"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(&args.arguments);
    let status = command.status().context("the view could not be started")?;
    // Without a code it was killed.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
