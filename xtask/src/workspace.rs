//! What Cargo knows about the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

/// The workspace's packages and where they are.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its folder, from the root of the workspace.
    pub(crate) folder: String,
    pub(crate) published: bool,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) test_targets: Vec<String>,
    pub(crate) has_library: bool,
    /// Fields that a published package must have and this one leaves empty.
    pub(crate) missing_fields: Vec<&'static str>,
}

/// One `[dependencies]` entry.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) features: Vec<String>,
    /// Whether it is another package of this workspace.
    pub(crate) ours: bool,
}

/// Which table of the manifest a dependency stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Build,
    Dev,
    Normal,
}

/// What the registry, or a reader of the crate's page, needs.
const REQUIRED_FIELDS: [&str; 6] = [
    "categories",
    "description",
    "keywords",
    "license",
    "readme",
    "repository",
];

impl Workspace {
    /// Asks Cargo.
    pub(crate) fn load(sh: &Shell) -> anyhow::Result<Self> {
        let json = cmd!(sh, "cargo metadata --format-version 1 --no-deps")
            .quiet()
            .read()?;
        Self::from_metadata(&serde_json::from_str(&json)?)
    }

    /// Reads what `cargo metadata` prints.
    pub(crate) fn from_metadata(metadata: &Value) -> anyhow::Result<Self> {
        let root = PathBuf::from(text(metadata, "workspace_root")?);
        let mut packages = Vec::new();
        for package in list(metadata, "packages") {
            packages.push(Package::from_metadata(package, &root)?);
        }
        Ok(Self {
            target: PathBuf::from(text(metadata, "target_directory")?),
            root,
            packages,
        })
    }

    /// Finds a package by its name or by the name of its folder.
    pub(crate) fn find(&self, name: &str) -> anyhow::Result<&Package> {
        let found = self
            .packages
            .iter()
            .find(|p| p.name == name || p.short_name() == name);
        let Some(package) = found else {
            let names: Vec<&str> = self.packages.iter().map(Package::short_name).collect();
            bail!(
                "no package `{name}` in this workspace; there are: {}",
                names.join(", ")
            );
        };
        Ok(package)
    }

    /// The packages that users get.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.published)
    }
}

impl Package {
    fn from_metadata(package: &Value, root: &Path) -> anyhow::Result<Self> {
        let manifest = Path::new(text(package, "manifest_path")?);
        let folder = manifest.parent().context("a manifest has a folder")?;
        let dependencies = list(package, "dependencies").map(Dependency::from_metadata);
        let tests = list(package, "targets")
            .filter(|target| has_kind(target, "test"))
            .map(|target| Ok(text(target, "name")?.to_owned()));
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            version: text(package, "version")?.to_owned(),
            folder: folder.strip_prefix(root)?.to_string_lossy().into_owned(),
            // Null means anywhere, an empty list nowhere.
            published: package["publish"]
                .as_array()
                .is_none_or(|places| !places.is_empty()),
            dependencies: dependencies.collect::<anyhow::Result<_>>()?,
            test_targets: tests.collect::<anyhow::Result<_>>()?,
            has_library: list(package, "targets").any(|target| has_kind(target, "lib")),
            missing_fields: REQUIRED_FIELDS
                .into_iter()
                .filter(|field| is_empty(&package[field]))
                .collect(),
        })
    }

    /// The name of its folder: `graph` for `stageflow-graph`.
    pub(crate) fn short_name(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or(&self.folder)
    }

    /// Whether it is part of the library, not a tool beside it.
    pub(crate) fn is_library(&self) -> bool {
        self.folder.starts_with("crates/")
    }
}

impl Dependency {
    fn from_metadata(dependency: &Value) -> anyhow::Result<Self> {
        let kind = match dependency["kind"].as_str() {
            None => Kind::Normal,
            Some("build") => Kind::Build,
            Some("dev") => Kind::Dev,
            Some(other) => {
                bail!("`cargo metadata` names a kind of dependency unknown here: {other}")
            }
        };
        let features = list(dependency, "features")
            .filter_map(Value::as_str)
            .map(str::to_owned);
        Ok(Self {
            name: text(dependency, "name")?.to_owned(),
            kind,
            features: features.collect(),
            ours: dependency["path"].is_string(),
        })
    }
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("`cargo metadata` has no `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn has_kind(target: &Value, kind: &str) -> bool {
    list(target, "kind").any(|found| found == kind)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}
