//! `props`: the property suites, with as many cases as there is time for and a seed that repeats them.
//!
//! By convention they are the test targets named `props` of the library crates, and the module `props` of the behaviour
//! tests. Tests that draw their own numbers read `STAGEFLOW_SEED`.

use std::collections::BTreeSet;

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::commands::test;
use crate::random;
use crate::step::Step;
use crate::workspace::{Package, Workspace};

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many cases each property tries
    #[arg(long, default_value_t = 1024)]
    cases: u32,
    /// Where the generator starts; without it, somewhere new
    #[arg(long)]
    seed: Option<u64>,
    /// Only this crate (`graph` or `stageflow-graph`)
    #[arg(long = "crate", value_name = "CRATE")]
    package: Option<String>,
}

impl Args {
    /// Every suite, from a new seed.
    pub(crate) fn all(cases: u32) -> Self {
        Self {
            cases,
            seed: None,
            package: None,
        }
    }
}

/// One step for the target `props` of all crates, one for the behaviour tests.
///
/// Not one a crate: Cargo would choose features for each alone, and build half of what they depend on once more.
pub(crate) fn steps(args: &Args, sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<Step>> {
    let seed = args.seed.unwrap_or_else(random::number);
    let packages: Vec<&Package> = match &args.package {
        Some(name) => vec![workspace.find(name)?],
        None => workspace.packages.iter().collect(),
    };
    let suites: BTreeSet<Suite> = packages.into_iter().filter_map(Suite::of).collect();
    ensure!(
        !suites.is_empty(),
        "no property suite here: a suite is a test target named `props`"
    );
    let scope = test::scope(args.package.as_deref(), workspace)?;
    let only = args.package.as_ref();
    let only = only.map_or_else(String::new, |package| format!(" --crate {package}"));
    let again = format!(
        "cargo xtask props --cases {} --seed {seed}{only}",
        args.cases
    );
    Ok(suites
        .iter()
        .map(|suite| suite.step(sh, &scope, (args.cases, seed), &again))
        .collect())
}

/// Where properties stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suite {
    /// The target `props` of a crate.
    Crates,
    /// The module `props` of the behaviour tests.
    Behaviour,
}

impl Suite {
    fn of(package: &Package) -> Option<Self> {
        let has = |name: &str| package.test_targets.iter().any(|target| target == name);
        if has("props") {
            Some(Self::Crates)
        } else if has("it") && !package.is_library() {
            Some(Self::Behaviour)
        } else {
            None
        }
    }

    fn step(self, sh: &Shell, scope: &[String], (cases, seed): (u32, u64), again: &str) -> Step {
        let (name, target, filter) = match self {
            Self::Crates => ("properties of the crates", "props", None),
            Self::Behaviour => ("properties of the behaviour", "it", Some("props::")),
        };
        let (cases, seed) = (cases.to_string(), seed.to_string());
        let command = cmd!(
            sh,
            "cargo test {scope...} --all-features --no-fail-fast --test {target} -- {filter...}"
        )
        .env("PROPTEST_CASES", &cases)
        .env("PROPTEST_RNG_SEED", &seed)
        .env("STAGEFLOW_SEED", &seed);
        Step::program(name, command, format!("repeat it with `{again}`"))
    }
}
