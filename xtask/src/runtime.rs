//! The runtime rule: only what runs pipelines (the executor, the testkit, the stress suite), delivers in the background (events,
//! otel) or waits for a disk (store) asks tokio for its runtime.
//!
//! Two looks, because either alone can be fooled: what the manifests ask for, and, for the two crates at the bottom,
//! what Cargo resolves when they are built alone (a dependency may ask on their behalf).

use xshell::{Shell, cmd};

use crate::workspace::{Kind, Workspace};

/// The crates that may run things.
const MAY_RUN: [&str; 7] = [
    "events", "executor", "lens", "otel", "store", "testkit", "stress",
];

/// The crates that must stay free of a runtime even through their dependencies.
pub(crate) const RUNTIME_FREE: [&str; 2] = ["stageflow-context", "stageflow-graph"];

/// Manifests that ask for a runtime and may not.
pub(crate) fn declared(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    let libraries = workspace
        .packages
        .iter()
        .filter(|package| package.is_library());
    for package in libraries.filter(|package| !MAY_RUN.contains(&package.short_name())) {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != Kind::Dev)
        {
            if !matches!(dependency.name.as_str(), "tokio" | "tokio-util") {
                continue;
            }
            for feature in dependency
                .features
                .iter()
                .filter(|feature| brings_runtime(feature))
            {
                problems.push(format!(
                    "`{}` enables `{}/{feature}`; only {} may",
                    package.name,
                    dependency.name,
                    MAY_RUN.join(" and ")
                ));
            }
        }
    }
    problems
}

/// Asks Cargo for what `package` resolves to when it is built alone, and looks for the runtime in it.
pub(crate) fn resolved(sh: &Shell, package: &str) -> anyhow::Result<Vec<String>> {
    let format = "{p}|{f}";
    let tree = cmd!(
        sh,
        "cargo tree -p {package} -e normal --no-default-features --prefix none -f {format}"
    )
    .quiet()
    .ignore_stderr()
    .read()?;
    Ok(runtime_in_tree(package, &tree).into_iter().collect())
}

fn runtime_in_tree(package: &str, tree: &str) -> Option<String> {
    let features = tree
        .lines()
        .find_map(|line| line.strip_prefix("tokio v"))?
        .split_once('|')?
        .1;
    // A package that the tree has already shown ends with a mark.
    let features = features.trim_end_matches(" (*)");
    let feature = features
        .split(',')
        .find(|feature| brings_runtime(feature))?;
    Some(format!(
        "`{package}` built alone resolves `tokio/{feature}`; who asks: `cargo tree -p {package} -e features -i tokio`"
    ))
}

fn brings_runtime(feature: &str) -> bool {
    matches!(feature, "rt" | "rt-multi-thread" | "full")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asking(folder: &str, kind: Option<&str>, features: &[&str]) -> Workspace {
        let metadata = json!({
            "workspace_root": "/ws",
            "target_directory": "/ws/target",
            "packages": [{
                "name": format!("stageflow-{folder}"),
                "version": "0.1.0",
                "manifest_path": format!("/ws/crates/{folder}/Cargo.toml"),
                "dependencies": [{"name": "tokio", "kind": kind, "features": features}],
                "targets": [],
            }],
        });
        Workspace::from_metadata(&metadata).unwrap()
    }

    #[test]
    fn only_those_that_run_or_deliver_may_ask_for_the_runtime() {
        assert_eq!(declared(&asking("executor", None, &["rt"])).len(), 0);
        assert_eq!(declared(&asking("graph", None, &["sync", "time"])).len(), 0);
        assert_eq!(declared(&asking("graph", Some("dev"), &["rt"])).len(), 0);
        assert_eq!(
            declared(&asking("graph", None, &["sync", "rt-multi-thread"])).len(),
            1
        );
    }

    #[test]
    fn a_runtime_that_comes_in_through_a_dependency_is_found() {
        let tree = "stageflow-graph v0.1.0|\nbystander v1.0.0|rt\ntokio v1.54.1|rt,sync,time (*)\n";
        let found = runtime_in_tree("stageflow-graph", tree).unwrap();
        assert!(found.contains("resolves `tokio/rt`"), "{found}");
        assert_eq!(
            runtime_in_tree("stageflow-graph", &tree.replace("rt,sync", "sync")),
            None
        );
    }
}
