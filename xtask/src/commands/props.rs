//! `props`: the property suites, with as many cases as there is time for and a seed that repeats them.
//!
//! By convention they are the test targets named `props` of the library crates, and the module `props` of the behaviour
//! tests. Tests that draw their own numbers read `STAGEFLOW_SEED`.

use anyhow::ensure;
use xshell::{Shell, cmd};

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

/// One step a suite.
pub(crate) fn steps(args: &Args, sh: &Shell, workspace: &Workspace) -> anyhow::Result<Vec<Step>> {
    let seed = args.seed.unwrap_or_else(random::number);
    let packages: Vec<&Package> = match &args.package {
        Some(name) => vec![workspace.find(name)?],
        None => workspace.packages.iter().collect(),
    };
    let suites: Vec<Suite<'_>> = packages.into_iter().filter_map(Suite::of).collect();
    ensure!(
        !suites.is_empty(),
        "no property suite here: a suite is a test target named `props`"
    );
    Ok(suites
        .iter()
        .map(|suite| suite.step(sh, args.cases, seed))
        .collect())
}

/// The properties of one package.
struct Suite<'a> {
    package: &'a str,
    short_name: &'a str,
    target: &'static str,
    /// What the tests' names start with.
    filter: Option<&'static str>,
}

impl<'a> Suite<'a> {
    fn of(package: &'a Package) -> Option<Self> {
        let has = |name: &str| package.test_targets.iter().any(|target| target == name);
        let (target, filter) = if has("props") {
            ("props", None)
        } else if has("it") && !package.is_library() {
            ("it", Some("props::"))
        } else {
            return None;
        };
        Some(Self {
            package: &package.name,
            short_name: package.short_name(),
            target,
            filter,
        })
    }

    fn step(&self, sh: &Shell, cases: u32, seed: u64) -> Step {
        let Self {
            package,
            short_name,
            target,
            filter,
        } = *self;
        let (cases, seed) = (cases.to_string(), seed.to_string());
        let command = cmd!(
            sh,
            "cargo test -p {package} --all-features --no-fail-fast --test {target} -- {filter...}"
        )
        .env("PROPTEST_CASES", &cases)
        .env("PROPTEST_RNG_SEED", &seed)
        .env("STAGEFLOW_SEED", &seed);
        let repeat =
            format!("cargo xtask props --cases {cases} --seed {seed} --crate {short_name}");
        Step::program(
            format!("properties of {short_name}"),
            command,
            format!("repeat it with `{repeat}`"),
        )
    }
}
