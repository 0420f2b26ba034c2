//! `package`: each published crate can be packaged, and what is in the package builds.
//!
//! Nothing is uploaded. Siblings that are not published yet are taken from the packages made in the same go.

use xshell::{Shell, cmd};

use crate::step::Step;
use crate::workspace::Workspace;

/// First what a manifest must say, then the packages themselves.
pub(crate) fn steps(sh: &Shell, workspace: &Workspace) -> Vec<Step> {
    let incomplete: Vec<String> = workspace
        .published()
        .filter(|package| !package.missing_fields.is_empty())
        .map(|package| {
            format!(
                "`{}` lacks: {}",
                package.name,
                package.missing_fields.join(", ")
            )
        })
        .collect();
    let kept_back = workspace
        .packages
        .iter()
        .filter(|package| !package.published);
    let excluded: Vec<String> = kept_back
        .map(|package| format!("--exclude={}", package.name))
        .collect();
    let excluded = &excluded;
    vec![
        Step::check(
            "manifests",
            || Ok(incomplete),
            "complete the manifest's [package] table",
        ),
        Step::program(
            "packages",
            cmd!(
                sh,
                "cargo publish --workspace {excluded...} --dry-run --allow-dirty"
            ),
            "a file that the code includes from outside its crate is not in the package",
        ),
    ]
}
