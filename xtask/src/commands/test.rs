//! `test`: everything that runs code to see whether it is right.
//!
//! Plain `cargo test`, because it is on every machine and runs the documentation's examples too.

use xshell::{Shell, cmd};

use crate::step::Step;
use crate::workspace::Workspace;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this crate (`graph` or `stageflow-graph`)
    #[arg(long = "crate", value_name = "CRATE")]
    package: Option<String>,
}

impl Args {
    /// The whole workspace.
    pub(crate) const ALL: Self = Self { package: None };
}

/// One step for all targets that hold tests, one for the examples in the documentation.
pub(crate) fn steps(args: &Args, sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<Step>> {
    let scope = scope(args.package.as_deref(), workspace)?;
    let scope = &scope;
    let mut steps = vec![Step::program(
        "tests",
        cmd!(
            sh,
            "cargo test {scope...} --all-features --no-fail-fast --tests"
        ),
        "a line `test NAME ... FAILED` names the test; repeat it with `cargo test NAME`",
    )];
    if has_library(args.package.as_deref(), workspace)? {
        steps.push(Step::program(
            "documentation examples",
            cmd!(
                sh,
                "cargo test {scope...} --all-features --no-fail-fast --doc"
            ),
            "the failing line's number is in the file that the test is named after",
        ));
    }
    Ok(steps)
}

/// Cargo's words for one package or all.
pub(crate) fn scope(package: Option<&str>, workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    Ok(match package {
        Some(name) => vec!["-p".to_owned(), workspace.find(name)?.name.clone()],
        None => vec!["--workspace".to_owned()],
    })
}

/// Cargo refuses to test the documentation of a package that is only a program.
fn has_library(package: Option<&str>, workspace: &Workspace) -> anyhow::Result<bool> {
    let Some(name) = package else { return Ok(true) };
    Ok(workspace.find(name)?.has_library)
}
