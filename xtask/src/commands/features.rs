//! `features`: each published crate builds alone, without and with all of its features.
//!
//! A build of the whole workspace hides a missing feature, because its packages switch features on for one another.

use xshell::{Shell, cmd};

use crate::step::Step;
use crate::workspace::Workspace;

/// Two steps a crate.
pub(crate) fn steps(sh: &Shell, workspace: &Workspace) -> Vec<Step> {
    let mut steps = Vec::new();
    // The stress suite is built by itself where it is run.
    let published = workspace.published();
    for package in published.filter(|package| package.short_name() != "stress") {
        for features in ["--no-default-features", "--all-features"] {
            let name = &package.name;
            steps.push(Step::program(
                format!("{} {features}", package.short_name()),
                cmd!(sh, "cargo check -p {name} {features}"),
                format!("`{name}` leans on a feature that only another package switches on"),
            ));
        }
    }
    steps
}
