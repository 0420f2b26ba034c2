//! What the suite is to cover, and which scenario covers it.
//!
//! The tables are data beside this file: targets that are the framework's own business, failure modes, and what a
//! framework has to offer for the targets that are somebody else's. A row that no scenario names has to say why.

mod page;

use std::collections::BTreeSet;

use crate::{Registry, Scenario};

pub use page::page;

const TARGETS: &str = include_str!("targets.tsv");
const MODES: &str = include_str!("modes.tsv");
const HOOKS: &str = include_str!("hooks.tsv");
const OTHERS: &str = include_str!("others.tsv");

/// A property of the framework that somebody relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Its id: what scenarios name.
    pub id: &'static str,
    /// How urgent it is: `P0` to `P2`.
    pub priority: &'static str,
    /// What is at stake, from `low` to `catastrophic`.
    pub risk: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Why no scenario needs to name it.
    pub otherwise: Otherwise,
}

/// A way in which a framework of this kind goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mode {
    /// Its id: what scenarios name.
    pub id: &'static str,
    /// What happens.
    pub about: &'static str,
    /// Why no scenario needs to name it.
    pub otherwise: Otherwise,
}

/// What the framework offers for a target that a library or a deployment has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hook {
    /// The target's id.
    pub id: &'static str,
    /// What is offered.
    pub hook: &'static str,
    /// `there`, `partly` or `to come`.
    pub state: &'static str,
}

/// Why no scenario names a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Otherwise {
    /// No reason is given: a scenario has to name it.
    Nothing,
    /// It is checked there.
    Elsewhere(&'static str),
    /// It needs this first, or still: whatever names it tries it in part at most.
    Needs(&'static str),
}

/// The targets that are the framework's own business.
#[must_use]
pub fn targets() -> Vec<Target> {
    rows(TARGETS)
        .map(|[id, priority, risk, about, otherwise]| Target {
            id,
            priority,
            risk,
            about,
            otherwise: Otherwise::parse(otherwise),
        })
        .collect()
}

/// The ways in which it could go wrong.
#[must_use]
pub fn modes() -> Vec<Mode> {
    rows(MODES)
        .map(|[id, about, otherwise]| Mode {
            id,
            about,
            otherwise: Otherwise::parse(otherwise),
        })
        .collect()
}

/// What is offered for targets that are somebody else's.
#[must_use]
pub fn hooks() -> Vec<Hook> {
    rows(HOOKS)
        .map(|[id, hook, state]| Hook { id, hook, state })
        .collect()
}

/// The ids of targets that are the business of libraries and deployments alone. A scenario may help with one.
#[must_use]
pub fn others() -> Vec<&'static str> {
    rows(OTHERS).map(|[id, _class]| id).collect()
}

/// What is wrong with the coverage: rows that nothing covers and that say no reason, and ids that no table has.
///
/// ```
/// use stageflow_stress::{Registry, Scenario, coverage};
///
/// let mine = Scenario::new("U1-MINE", "my own").targets(["CORE-999"]);
/// let gaps = coverage::gaps(&Registry::builtin().with(mine));
/// assert_eq!(gaps, ["U1-MINE names the target `CORE-999`, which no table has"]);
/// ```
#[must_use]
pub fn gaps(registry: &Registry) -> Vec<String> {
    let (targets, modes) = (targets(), modes());
    let mut gaps = Vec::new();
    for target in &targets {
        if target.otherwise == Otherwise::Nothing && by_target(registry, target.id).is_empty() {
            gaps.push(format!("no scenario names the target {}", target.id));
        }
    }
    for mode in &modes {
        if mode.otherwise == Otherwise::Nothing && by_mode(registry, mode.id).is_empty() {
            gaps.push(format!("no scenario names the failure mode {}", mode.id));
        }
    }
    let hooks = hooks();
    let known: BTreeSet<&str> = targets
        .iter()
        .map(|target| target.id)
        .chain(hooks.iter().map(|hook| hook.id))
        .chain(others())
        .collect();
    let modes: BTreeSet<&str> = modes.iter().map(|mode| mode.id).collect();
    for scenario in registry.iter() {
        gaps.extend(unknown(scenario, "target", &scenario.targets, &known));
        gaps.extend(unknown(scenario, "failure mode", &scenario.modes, &modes));
    }
    gaps
}

fn unknown<'a>(
    scenario: &'a Scenario,
    what: &'a str,
    named: &'a [&'static str],
    known: &'a BTreeSet<&str>,
) -> impl Iterator<Item = String> + 'a {
    named
        .iter()
        .filter(|id| !known.contains(**id))
        .map(move |id| {
            format!(
                "{} names the {what} `{id}`, which no table has",
                scenario.id
            )
        })
}

fn by_target<'r>(registry: &'r Registry, id: &str) -> Vec<&'r Scenario> {
    registry
        .iter()
        .filter(|scenario| scenario.targets.contains(&id))
        .collect()
}

fn by_mode<'r>(registry: &'r Registry, id: &str) -> Vec<&'r Scenario> {
    registry
        .iter()
        .filter(|scenario| scenario.modes.contains(&id))
        .collect()
}

impl Otherwise {
    fn parse(text: &'static str) -> Self {
        match text.split_once(": ") {
            Some(("elsewhere", place)) => Self::Elsewhere(place),
            Some(("needs", what)) => Self::Needs(what),
            _ => Self::Nothing,
        }
    }
}

/// The rows of a table below its head. A row with too few fields has empty ones, which the crate's tests refuse.
fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().skip(1).map(|line| {
        let mut fields = line.split('\t');
        std::array::from_fn(|_| fields.next().unwrap_or_default())
    })
}
