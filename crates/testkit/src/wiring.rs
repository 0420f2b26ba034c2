//! Random wirings by name, most of them wrong in one way or several.

use std::fmt;

use proptest::prelude::{Just, Strategy, any};
use proptest::{collection, prop_oneof};
use serde_json::Value;
use stageflow_graph::{BuildError, NamedInputs, NamedPipeline, Pipeline, stage_fn};

/// Stages by name and what each waits for, as a file might have them.
///
/// ```
/// use stageflow_testkit::wiring::Wiring;
///
/// let wiring = Wiring::new([("a", vec!["b"]), ("b", vec!["a"])]);
/// assert_eq!(wiring.build().unwrap_err().code(), "SF0105");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Wiring {
    /// The stages, in the order of declaration: a name, and the names it waits for.
    pub stages: Vec<(String, Vec<String>)>,
    /// The stage that gives the output.
    pub output: String,
}

impl Wiring {
    /// These stages; the first one gives the output.
    #[must_use]
    pub fn new<'a>(stages: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>) -> Self {
        let owned = |(name, upstream): (&str, Vec<&str>)| {
            (
                name.to_owned(),
                upstream.into_iter().map(str::to_owned).collect(),
            )
        };
        let stages: Vec<(String, Vec<String>)> = stages.into_iter().map(owned).collect();
        let output = stages
            .first()
            .map(|(name, _)| name.clone())
            .unwrap_or_default();
        Self { stages, output }
    }

    /// Builds it, of stages that give `null`.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with everything that is wrong with it.
    pub fn build(&self) -> Result<NamedPipeline, BuildError> {
        let mut p = Pipeline::by_name("wired");
        for (name, upstream) in &self.stages {
            p.stage(name, stage_fn(async |_cx, _: NamedInputs| Ok(Value::Null)))
                .after(upstream.iter().cloned());
        }
        p.output(self.output.clone()).build()
    }

    /// The places at which a stage of this name is declared.
    #[must_use]
    pub fn places(&self, name: &str) -> Vec<usize> {
        (0..self.stages.len())
            .filter(|place| self.stages[*place].0 == name)
            .collect()
    }
}

impl fmt::Debug for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the output is {:?}", self.output)?;
        self.stages
            .iter()
            .try_for_each(|(name, upstream)| write!(f, "\n    {name:?} after {upstream:?}"))
    }
}

/// Wirings of 1 to `stages` stages whose names are good, different and there; but they may wait for each other in circles, and
/// for themselves.
pub fn digraphs(stages: usize) -> impl Strategy<Value = Wiring> {
    let density = prop_oneof![Just(1_usize), Just(2), Just(5)];
    let edges = |stages: usize, density: usize| {
        collection::vec(collection::vec(0..stages, 0..=density.min(stages)), stages)
    };
    let wired = (1..=stages, density)
        .prop_flat_map(move |(stages, density)| (edges(stages, density), 0..stages, any::<bool>()));
    wired.prop_map(|(rows, output, forwards)| {
        let name = |stage: usize| format!("s{stage}");
        let row = |(stage, row): (usize, Vec<usize>)| {
            // Half of them have arrows in one direction only, so that some are sound.
            let fits = |up: &usize| !forwards || *up > stage;
            (
                name(stage),
                row.into_iter().filter(fits).map(name).collect(),
            )
        };
        Wiring {
            stages: rows.into_iter().enumerate().map(row).collect(),
            output: name(output),
        }
    })
}

/// Wirings that may, on top of that, have bad names, the same name twice, or names that are not there.
pub fn broken(stages: usize) -> impl Strategy<Value = Wiring> {
    let spoilt = collection::vec((any::<proptest::sample::Index>(), spoiling()), 0..4);
    (digraphs(stages), spoilt).prop_map(|(mut wiring, spoilt)| {
        for (at, spoiling) in spoilt {
            wiring.spoil(at.index(wiring.stages.len()), &spoiling);
        }
        wiring
    })
}

#[derive(Clone, Debug)]
enum Spoiling {
    BadName(&'static str),
    Output(&'static str),
    SameName(proptest::sample::Index),
    Unknown(&'static str),
}

fn spoiling() -> impl Strategy<Value = Spoiling> {
    let bad = proptest::sample::select(vec![
        "",
        " ",
        "no spaces",
        "-dash",
        "s\u{e9}",
        "a//b",
        "\"quoted\"",
        "line\nbreak",
    ]);
    let unknown = proptest::sample::select(vec!["s999", "S1", "missing", "", "s1 "]);
    prop_oneof![
        bad.prop_map(Spoiling::BadName),
        unknown.clone().prop_map(Spoiling::Output),
        any::<proptest::sample::Index>().prop_map(Spoiling::SameName),
        unknown.prop_map(Spoiling::Unknown),
    ]
}

impl Wiring {
    fn spoil(&mut self, at: usize, spoiling: &Spoiling) {
        match spoiling {
            Spoiling::BadName(name) => (*name).clone_into(&mut self.stages[at].0),
            Spoiling::Output(name) => (*name).clone_into(&mut self.output),
            Spoiling::SameName(other) => {
                self.stages[at].0 = self.stages[other.index(self.stages.len())].0.clone();
            }
            Spoiling::Unknown(name) => self.stages[at].1.push((*name).to_owned()),
        }
    }
}
