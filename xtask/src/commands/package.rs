//! `package`: each published crate can be packaged, and what is in the package builds.
//!
//! Nothing is uploaded. Siblings that are not published yet are taken from the packages made in the same go.

use std::fs;
use std::path::Path;

use xshell::{Shell, cmd};

use crate::random;
use crate::step::Step;
use crate::workspace::Workspace;

/// First what a manifest must say, then the packages themselves.
pub(crate) fn steps(sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<Step>> {
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
    let target = fresh_target(&workspace.target.join("xtask").join("package"))?;
    Ok(vec![
        Step::check(
            "manifests",
            || Ok(incomplete),
            "complete the manifest's [package] table",
        ),
        Step::program(
            "packages",
            cmd!(
                sh,
                "cargo publish --workspace {excluded...} --dry-run --allow-dirty --target-dir {target}"
            )
            // What comes from a registry is the same everywhere, and half of it is built already.
            .env("CARGO_BUILD_BUILD_DIR", &workspace.target),
            "a file that the code includes from outside its crate is not in the package",
        ),
    ])
}

/// A folder with a name that was never used before.
///
/// Cargo takes a packaged sibling for something that never changes: it unpacks and compiles it once for each place that
/// packages are made in, and then would check a crate against the sibling as it was the first time.
fn fresh_target(folder: &Path) -> anyhow::Result<String> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let fresh = folder.join(random::number().to_string());
    fs::create_dir_all(&fresh)?;
    Ok(fresh.to_string_lossy().into_owned())
}
