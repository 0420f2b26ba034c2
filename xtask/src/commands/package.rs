//! `package`: each published crate can be packaged, and what is in the packages builds.
//!
//! Nothing is uploaded. What was packed is unpacked into a workspace of its own and built there, once for all crates:
//! `cargo publish --dry-run` would build each of them with everything below it, and takes a sibling that it has unpacked
//! before for something that never changes. That a crate builds without its neighbours' features is for `features` to see.

use std::fs;
use std::path::Path;

use xshell::{Shell, cmd};

use crate::step::Step;
use crate::workspace::{Package, Workspace};

/// First what a manifest must say, then the packages, then what is in them.
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
    let folder = workspace.target.join("xtask").join("package");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let unpacked = folder.join("unpacked");
    Ok(vec![
        Step::check(
            "manifests",
            || Ok(incomplete),
            "complete the manifest's [package] table",
        ),
        pack(sh, workspace, &folder),
        unpack(workspace, &folder.join("package"), &unpacked)?,
        build(sh, workspace, &unpacked),
    ])
}

fn pack(sh: &Shell, workspace: &Workspace, folder: &Path) -> Step {
    let packages = workspace.packages.iter();
    let excluded: Vec<String> = packages
        .filter(|package| !package.published)
        .map(|package| format!("--exclude={}", package.name))
        .collect();
    let excluded = &excluded;
    Step::program(
        "packages",
        cmd!(
            sh,
            "cargo package --workspace {excluded...} --no-verify --allow-dirty --target-dir {folder}"
        ),
        "the manifest says something that a published crate cannot say",
    )
}

/// Every package beside the others, and a manifest over them that makes each take its siblings from there.
fn unpack(workspace: &Workspace, packed: &Path, unpacked: &Path) -> anyhow::Result<Step> {
    let packages: Vec<&Package> = workspace.published().collect();
    let manifest = manifest(&packages);
    let lock = workspace.root.join("Cargo.lock");
    let archives: Vec<_> = packages
        .iter()
        .map(|package| packed.join(format!("{}.crate", folder_of(package))))
        .collect();
    let (sh, unpacked) = (Shell::new()?, unpacked.to_owned());
    Ok(Step::check(
        "unpacked packages",
        move || {
            fs::create_dir_all(&unpacked)?;
            for archive in &archives {
                // The time of now: what is packed says 2006, and Cargo would not see that it changed.
                cmd!(
                    sh,
                    "tar --extract --gzip --touch --file {archive} --directory {unpacked}"
                )
                .quiet()
                .run()?;
            }
            fs::write(unpacked.join("Cargo.toml"), &manifest)?;
            fs::copy(&lock, unpacked.join("Cargo.lock"))?;
            Ok(Vec::new())
        },
        "`packages` made something else than one archive a crate",
    ))
}

fn build(sh: &Shell, workspace: &Workspace, unpacked: &Path) -> Step {
    let manifest = unpacked.join("Cargo.toml");
    Step::program(
        "packages build",
        cmd!(
            sh,
            "cargo check --workspace --all-features --manifest-path {manifest}"
        )
        // What comes from a registry is the same everywhere, and is built already.
        .env("CARGO_TARGET_DIR", &workspace.target),
        "a file that the code includes from outside its crate is not in the package",
    )
}

fn manifest(packages: &[&Package]) -> String {
    let members: Vec<String> = packages
        .iter()
        .map(|package| format!("{:?}", folder_of(package)))
        .collect();
    let siblings: Vec<String> = packages
        .iter()
        .map(|package| format!("{} = {{ path = {:?} }}\n", package.name, folder_of(package)))
        .collect();
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[patch.crates-io]\n{}",
        members.join(", "),
        siblings.concat()
    )
}

/// What Cargo calls the archive, and the folder in it.
fn folder_of(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}
