//! From names to numbers: what stages wait for, and what the pipeline gives.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use stageflow_context::StageName;

use super::Declared;
use crate::draft::Draft;
use crate::error::ProblemKind;
use crate::nearest::nearest;
use crate::plan::Rows;

/// Finds the stages that names stand for.
pub(super) struct Resolver<'a> {
    text: &'a str,
    stages: &'a [Declared],
    upstream: &'a [Range<usize>],
    numbers: HashMap<&'a str, u32>,
    suggestions: usize,
}

impl<'a> Resolver<'a> {
    /// Looking for the nearest name takes O(stages); a hostile file must not make that quadratic.
    const MAX_SUGGESTIONS: usize = 16;

    pub(super) fn new(text: &'a str, stages: &'a [Declared], upstream: &'a [Range<usize>]) -> Self {
        Self {
            text,
            stages,
            upstream,
            numbers: HashMap::with_capacity(stages.len()),
            suggestions: 0,
        }
    }

    /// The numbers of the stages each stage waits for. Names that are there twice, or not at all, become problems.
    pub(super) fn resolve(mut self, draft: &mut Draft, names: &[StageName]) -> Rows {
        let mut reported = HashSet::new();
        for (number, stage) in (0..).zip(self.stages) {
            let name = &self.text[stage.name.clone()];
            let twice = self.numbers.insert(name, number).is_some();
            // A bad name is reported as such, and once.
            if twice && name.parse::<StageName>().is_ok() && reported.insert(name) {
                draft.problem(ProblemKind::DuplicateName(names[number as usize].clone()));
            }
        }
        let mut rows = Rows::with_capacity(self.stages.len(), self.upstream.len());
        for (stage, declared) in names.iter().zip(self.stages) {
            for name in &self.upstream[declared.upstream.clone()] {
                let name = &self.text[name.clone()];
                match self.numbers.get(name) {
                    Some(number) => rows.items.push(*number),
                    None => draft.problem(self.unknown(stage, name, names)),
                }
            }
            rows.close();
        }
        rows
    }

    #[cold]
    fn unknown(&mut self, stage: &StageName, name: &str, names: &[StageName]) -> ProblemKind {
        self.suggestions += 1;
        let suggest = self.suggestions <= Self::MAX_SUGGESTIONS;
        let found = if suggest {
            nearest(name, names.iter().map(StageName::as_str))
        } else {
            None
        };
        ProblemKind::UnknownUpstream {
            stage: stage.clone(),
            upstream: name.chars().take(StageName::MAX_LEN).collect(),
            nearest: found.and_then(|name| name.parse().ok()),
            known: names.iter().take(8).cloned().collect(),
            stages: names.len(),
        }
    }
}

/// The stage that was named, or the only one nothing waits for.
pub(super) fn find_output(
    draft: &mut Draft,
    names: &[StageName],
    rows: &Rows,
    wanted: Option<String>,
    found: Option<usize>,
) -> Option<u32> {
    let Some(wanted) = wanted else {
        let mut last = vec![true; names.len()];
        rows.items.iter().for_each(|up| last[*up as usize] = false);
        let candidates: Vec<u32> = (0..)
            .zip(last)
            .filter(|(_, last)| *last)
            .map(|(stage, _)| stage)
            .collect();
        if let [only] = *candidates {
            return Some(only);
        }
        // With none, every stage is in a circle or before one: that is reported as such.
        if candidates.len() > 1 {
            let candidates = candidates
                .iter()
                .map(|stage| names[*stage as usize].clone())
                .collect();
            draft.problem(ProblemKind::NoOutput { candidates });
        }
        return None;
    };
    if found.is_none() && !names.is_empty() {
        let nearest = nearest(&wanted, names.iter().map(StageName::as_str))
            .and_then(|name| name.parse().ok());
        draft.problem(ProblemKind::UnknownOutput {
            name: wanted.chars().take(StageName::MAX_LEN).collect(),
            nearest,
        });
    }
    found.map(|stage| stage as u32)
}
