//! The layer rule: a library crate depends only on crates that the drawing puts below it.
//!
//! The drawing, as a table, is `xtask/layers.txt`. Tests of a crate may also use whatever lies below it, however far,
//! and the testkit: Cargo allows that circle, and the harness would be of little use without it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;

use crate::workspace::{Dependency, Kind, Package, Workspace};

/// The arrows that may be.
pub(crate) struct Layers(BTreeMap<String, BTreeSet<String>>);

impl Layers {
    /// The table that comes with this package.
    pub(crate) fn of_the_drawing() -> anyhow::Result<Self> {
        Self::parse(include_str!("../layers.txt"))
    }

    fn parse(table: &str) -> anyhow::Result<Self> {
        let mut arrows = BTreeMap::new();
        for line in table
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (from, to) = line
                .split_once(':')
                .with_context(|| format!("layers.txt: no `:` in `{line}`"))?;
            arrows.insert(
                from.to_owned(),
                to.split_whitespace().map(str::to_owned).collect(),
            );
        }
        Ok(Self(arrows))
    }

    /// Every arrow of the workspace that the table does not have.
    pub(crate) fn problems(&self, workspace: &Workspace) -> Vec<String> {
        let mut problems = Vec::new();
        for package in &workspace.packages {
            if package.is_library() && !self.0.contains_key(package.short_name()) {
                problems.push(format!(
                    "`{}` has no line in xtask/layers.txt: say what it may depend on",
                    package.name
                ));
                continue;
            }
            let ours = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.ours);
            problems.extend(ours.filter_map(|to| self.problem(workspace, package, to)));
        }
        problems
    }

    fn problem(&self, workspace: &Workspace, from: &Package, to: &Dependency) -> Option<String> {
        let target = workspace
            .packages
            .iter()
            .find(|package| package.name == to.name)?;
        if from.name == "xtask" {
            return Some(format!(
                "`xtask` depends on `{}`: it must build when the library does not",
                to.name
            ));
        }
        if !from.is_library() {
            return None;
        }
        if !target.is_library() {
            return Some(format!(
                "`{}` is library code and depends on the tool `{}`",
                from.name, to.name
            ));
        }
        let allowed = match to.kind {
            Kind::Normal | Kind::Build => self.0.get(from.short_name())?.clone(),
            Kind::Dev => self.usable_in_tests(from.short_name()),
        };
        (!allowed.contains(target.short_name())).then(|| {
            let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
            format!(
                "`{}` {} `{}`, an arrow that is not drawn; {} may use: {}",
                from.name,
                if to.kind == Kind::Dev {
                    "uses in its tests"
                } else {
                    "depends on"
                },
                to.name,
                from.short_name(),
                if allowed.is_empty() {
                    "nothing".to_owned()
                } else {
                    allowed.join(", ")
                },
            )
        })
    }

    /// The crate itself, the testkit and everything below. All of them for the facade: its manual shows every crate.
    fn usable_in_tests(&self, from: &str) -> BTreeSet<String> {
        if from == "stageflow" {
            return self.0.keys().cloned().collect();
        }
        let mut usable = BTreeSet::from(["testkit".to_owned()]);
        let mut open = vec![from.to_owned()];
        while let Some(next) = open.pop() {
            let below = self.0.get(&next).into_iter().flatten().cloned();
            if usable.insert(next) {
                open.extend(below);
            }
        }
        usable
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A workspace of the given packages; an arrow is (from, kind, to).
    fn workspace(folders: &[&str], arrows: &[(&str, Option<&str>, &str)]) -> Workspace {
        let packages: Vec<Value> = folders
            .iter()
            .map(|folder| {
                let dependencies: Vec<Value> = arrows
                    .iter()
                    .filter(|(from, ..)| from == folder)
                    .map(|(_, kind, to)| json!({"name": to, "kind": kind, "features": [], "path": "/x"}))
                    .collect();
                json!({
                    "name": folder.replace("crates/", "stageflow-"),
                    "version": "0.1.0",
                    "manifest_path": format!("/ws/{folder}/Cargo.toml"),
                    "dependencies": dependencies,
                    "targets": [],
                })
            })
            .collect();
        let metadata = json!({"workspace_root": "/ws", "target_directory": "/ws/target", "packages": packages});
        Workspace::from_metadata(&metadata).unwrap()
    }

    fn problems(folders: &[&str], arrows: &[(&str, Option<&str>, &str)]) -> Vec<String> {
        Layers::of_the_drawing()
            .unwrap()
            .problems(&workspace(folders, arrows))
    }

    const LIBRARY: [&str; 5] = [
        "crates/context",
        "crates/graph",
        "crates/interceptors",
        "crates/executor",
        "crates/testkit",
    ];

    #[test]
    fn the_drawn_arrows_pass() {
        let arrows = [
            ("crates/graph", None, "stageflow-context"),
            ("crates/executor", None, "stageflow-graph"),
            ("crates/executor", Some("dev"), "stageflow-testkit"),
            ("crates/executor", Some("dev"), "stageflow-context"),
        ];
        assert_eq!(problems(&LIBRARY, &arrows), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_upward_is_found_in_every_table_of_the_manifest() {
        for kind in [None, Some("build"), Some("dev")] {
            let found = problems(&LIBRARY, &[("crates/graph", kind, "stageflow-executor")]);
            assert_eq!(found.len(), 1, "{kind:?}: {found:?}");
            assert!(
                found[0].contains("`stageflow-executor`, an arrow that is not drawn"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn an_arrow_that_skips_a_layer_is_for_tests_only() {
        let folders = ["crates/context", "crates/graph", "crates/auth"];
        assert_eq!(
            problems(&folders, &[("crates/auth", Some("dev"), "stageflow-graph")]).len(),
            0
        );
        assert_eq!(
            problems(&folders, &[("crates/auth", None, "stageflow-graph")]).len(),
            1
        );
    }

    #[test]
    fn the_testkit_may_be_used_in_tests_only() {
        assert_eq!(
            problems(&LIBRARY, &[("crates/graph", None, "stageflow-testkit")]).len(),
            1
        );
    }

    #[test]
    fn a_crate_outside_the_table_is_found() {
        let found = problems(&["crates/newcomer"], &[]);
        assert!(
            found[0].contains("`stageflow-newcomer` has no line"),
            "{found:?}"
        );
    }

    #[test]
    fn the_library_does_not_know_the_tools_nor_xtask_the_library() {
        let folders = ["crates/graph", "benches", "xtask"];
        assert_eq!(
            problems(&folders, &[("crates/graph", None, "benches")]).len(),
            1
        );
        assert_eq!(
            problems(&folders, &[("xtask", None, "stageflow-graph")]).len(),
            1
        );
        assert_eq!(
            problems(&folders, &[("benches", None, "stageflow-graph")]).len(),
            0
        );
    }
}
