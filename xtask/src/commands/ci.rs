//! `ci`: everything that must pass before a change lands.

use xshell::Shell;

use crate::commands::{bench, features, lint, loom, package, props, stress, test};
use crate::step::Step;
use crate::workspace::Workspace;

/// How many cases each property tries: a few minutes' worth for the whole workspace on two cores.
const CASES: u32 = 512;

/// All other commands, cheapest first. Rustdoc, layers, tidy and the error pages are part of `lint`.
pub(crate) fn steps(sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<Step>> {
    let mut steps = lint::steps(&lint::Args::CHECK, sh, workspace);
    steps.extend(test::steps(&test::Args::ALL, sh, workspace)?);
    steps.extend(props::steps(&props::Args::all(CASES), sh, workspace)?);
    steps.extend(loom::steps(sh, workspace));
    steps.extend(features::steps(sh, workspace));
    steps.extend(package::steps(sh, workspace)?);
    steps.push(stress::gate(sh));
    steps.extend(bench::steps(&bench::Args::gate(), sh));
    Ok(steps)
}
