//! Directed graphs, what is known of their circles, and what the builder says of them.

use std::collections::BTreeSet;

use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};
use serde_json::Value;
use stageflow::context::StageCx;
use stageflow::graph::{BuildError, NamedInputs, NamedPipeline, Pipeline, ProblemKind, stage_fn};

use crate::explore::wiring;

/// For each stage those it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digraph(pub(super) Vec<Vec<usize>>);

impl Digraph {
    /// One without a circle, declared in an order that has nothing to do with its arrows.
    pub(super) fn acyclic(rng: &mut impl Rng, stages: usize) -> Self {
        let most = rng.random_range(1..=4);
        let rows = wiring(rng, stages, most);
        let mut place: Vec<usize> = (0..stages).collect();
        place.shuffle(rng);
        let mut shuffled = vec![Vec::new(); stages];
        for (stage, row) in rows.into_iter().enumerate() {
            shuffled[place[stage]] = row.into_iter().map(|up| place[up]).collect();
        }
        Self(shuffled)
    }

    /// Ties some stages into a circle. The arrows that are new.
    pub(super) fn plant(&mut self, rng: &mut impl Rng, length: usize) {
        let mut stages: Vec<usize> = (0..self.0.len()).collect();
        stages.shuffle(rng);
        stages.truncate(length);
        self.ring(&stages);
    }

    pub(super) fn ring(&mut self, stages: &[usize]) {
        let before = stages.iter().cycle().skip(stages.len().saturating_sub(1));
        for (stage, before) in stages.iter().zip(before) {
            if !self.0[*stage].contains(before) {
                self.0[*stage].push(*before);
            }
        }
    }

    pub(super) fn arrows(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    pub(super) fn build(&self) -> Result<NamedPipeline, BuildError> {
        let names: Vec<String> = (0..self.0.len()).map(|stage| format!("s{stage}")).collect();
        self.build_as(&names)
    }

    /// With names that are there already.
    pub(super) fn build_as(&self, names: &[String]) -> Result<NamedPipeline, BuildError> {
        let mut p = Pipeline::by_name("digraph");
        for (name, row) in names.iter().zip(&self.0) {
            let work = stage_fn(async |_cx: StageCx, _: NamedInputs| Ok(Value::Null));
            p.stage(name, work).after(row.iter().map(|up| &names[*up]));
        }
        p.output("s0").build()
    }

    /// The groups of stages that wait for each other, and single ones that wait for themselves.
    ///
    /// Found in two sweeps, along the arrows and against them (S. R. Kosaraju; M. Sharir, 1981): not the way the builder
    /// finds them.
    pub(super) fn groups(&self) -> Vec<BTreeSet<usize>> {
        let mut down = vec![Vec::new(); self.0.len()];
        for (stage, row) in self.0.iter().enumerate() {
            row.iter().for_each(|up| down[*up].push(stage));
        }
        let mut seen = vec![false; self.0.len()];
        let mut left = Vec::with_capacity(self.0.len());
        for root in 0..self.0.len() {
            sweep(&down, root, &mut seen, &mut left);
        }
        seen.fill(false);
        let mut groups = Vec::new();
        for root in left.into_iter().rev() {
            let mut group = Vec::new();
            sweep(&self.0, root, &mut seen, &mut group);
            if group.len() > 1 || group.iter().any(|stage| self.0[*stage].contains(stage)) {
                groups.push(group.into_iter().collect());
            }
        }
        groups
    }

    /// What is wrong with what the builder says, if anything.
    pub(super) fn judge(&self, problems: &[Told]) -> Result<(), String> {
        let mut groups = self.groups();
        if problems.len() != groups.len() {
            return Err(format!(
                "{} circles are told, and {} groups of stages wait for each other",
                problems.len(),
                groups.len()
            ));
        }
        for Told { path, text } in problems {
            let [inner @ .., last] = &**path else {
                return Err(format!("no circle: {text}"));
            };
            let inside: BTreeSet<usize> = inner.iter().copied().collect();
            let closed = path.len() >= 2 && path.first() == Some(last);
            if !closed || inside.len() != inner.len() {
                return Err(format!(
                    "{path:?} is no closed walk that meets each stage once"
                ));
            }
            if let Some(step) = path
                .windows(2)
                .find(|step| !self.0[step[1]].contains(&step[0]))
            {
                return Err(format!("there is no arrow from {} to {}", step[0], step[1]));
            }
            match groups.iter().position(|group| inside.is_subset(group)) {
                Some(group) => drop(groups.swap_remove(group)),
                None => return Err(format!("{path:?} is told twice, or is in no group")),
            }
            let helps = text.contains("remove") && !text.contains('\n');
            if !helps || !text.contains(&format!("s{last}")) {
                return Err(format!("the message does not help: {text}"));
            }
        }
        Ok(())
    }
}

/// Everything that can be reached from `root` and was not seen, each after all that can be reached from it.
fn sweep(arrows: &[Vec<usize>], root: usize, seen: &mut [bool], left: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[root], true) {
        return;
    }
    let mut path = vec![(root, 0)];
    while let Some((stage, next)) = path.last_mut() {
        let Some(to) = arrows[*stage].get(*next).copied() else {
            left.push(*stage);
            path.pop();
            continue;
        };
        *next += 1;
        if !std::mem::replace(&mut seen[to], true) {
            path.push((to, 0));
        }
    }
}

/// A circle as the builder tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) path: Vec<usize>,
    text: String,
}

/// What the builder says; everything but circles is wrong here.
pub(super) fn told(error: &BuildError) -> Result<Vec<Told>, String> {
    let number = |name: &str| name.get(1..).and_then(|digits| digits.parse().ok());
    let one = |problem: &stageflow::graph::Problem| {
        let names = match (problem.kind(), problem.code()) {
            (ProblemKind::Cycle { path }, "SF0105") => path.clone(),
            (ProblemKind::SelfDependency(name), "SF0107") => vec![name.clone(), name.clone()],
            (other, code) => return Err(format!("{code}: {other:?}")),
        };
        let path = names.iter().filter_map(|name| number(name)).collect();
        let text = problem.to_string();
        Ok(Told { path, text })
    };
    error.problems().iter().map(one).collect()
}
