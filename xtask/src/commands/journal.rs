//! `journal`: whether a journal is as it was written.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// What the command takes: whatever the program takes that knows journals, see `cargo xtask journal --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// What the program says when the command makes no sense, and this one when it could not be built.
const HARNESS: u8 = 2;

/// Builds the program and hands over to it, in the folder of whoever asks: its paths are theirs. Its exit code is the command's.
///
/// Cargo does not link it into this program, so what is broken there does not break this one.
pub(crate) fn run(args: &Args, root: &Path, asked_from: &Path) -> anyhow::Result<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--package", "stageflow-events"])
        .args(["--example", "journal", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(&args.arguments)
        .current_dir(asked_from)
        .status()
        .context("cargo could not be started")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(HARNESS))
}
