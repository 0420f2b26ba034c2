//! A question in the terms of an index: exact words, their other forms, near misses.

use std::collections::HashMap;

use crate::language::words::is_spaceless;
use crate::question::{Role, Term};
use crate::search::Index;

/// Another form of a word, or a slip of the pen, counts less than the word.
const KIN: f32 = 0.5;
const MISSPELT: f32 = 0.8;
const HALF: f32 = 0.8;
/// How rare a word counts that stands nowhere; it may be the asker's own for something that does.
const UNKNOWN: f32 = 0.75;
/// What a name and a frame word count of a content word.
const NAME_WEIGHT: f32 = 1.25;
const FRAME_WEIGHT: f32 = 0.35;

/// A question in the terms of an index.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) terms: Vec<ProbeTerm>,
    /// Which terms of the question a term of the vocabulary stands for, and how well.
    pub(crate) matches: HashMap<u32, Vec<(usize, f32)>>,
}

#[derive(Clone, Debug)]
pub(crate) struct ProbeTerm {
    pub(crate) surface: String,
    pub(crate) position: u32,
    /// How much a passage gains by it: rare words tell more.
    pub(crate) weight: f32,
    pub(crate) role: Role,
    /// Whether the folder holds it at all.
    pub(crate) is_known: bool,
    /// Whether a document is called after it.
    pub(crate) is_file: bool,
}

impl Index {
    /// Looks the terms of a question up in the vocabulary.
    pub(crate) fn probe(&self, terms: &[Term]) -> Probe {
        let mut probe = Probe {
            terms: Vec::new(),
            matches: HashMap::new(),
        };
        for term in terms {
            let is_whole = term.parts.is_empty() || !self.known(&term.stems).is_empty();
            if is_whole {
                self.add_term(&mut probe, term, &term.stems, term.role);
            }
            // Where the whole is known, its parts only hint at it.
            let role = if is_whole { Role::Frame } else { Role::Content };
            for part in &term.parts {
                self.add_term(&mut probe, term, part, role);
            }
        }
        probe
    }

    fn add_term(&self, probe: &mut Probe, term: &Term, stems: &[String], role: Role) {
        let index = probe.terms.len();
        let found = self.found(term, stems, role);
        for (id, strength) in &found {
            let known = probe.matches.entry(*id).or_default();
            if !known.iter().any(|(other, _)| *other == index) {
                known.push((index, *strength));
            }
        }
        let exact = self.known(stems);
        // Pairs of signs are cut across words, so most that are not found mean nothing.
        let is_cut = exact.is_empty() && term.surface.chars().all(is_spaceless);
        let role = if is_cut { Role::Frame } else { role };
        let stands =
            |id: u32| role != Role::Name || self.documents.iter().any(|terms| terms.contains(&id));
        probe.terms.push(ProbeTerm {
            surface: term.surface.clone(),
            position: term.position,
            weight: self.weight(&exact, role),
            role,
            is_known: found.iter().any(|(id, _)| stands(*id)),
            is_file: exact.iter().any(|id| self.file_names.contains(id)),
        });
    }

    /// What of the vocabulary a term stands for, and how well.
    fn found(&self, term: &Term, stems: &[String], role: Role) -> Vec<(u32, f32)> {
        let joined = self.known(&term.joined);
        // Where `logout` is a word, `log` alone is only half of what was asked.
        let strength = if joined.is_empty() { 1.0 } else { HALF };
        let mut found: Vec<(u32, f32)> = self
            .known(stems)
            .into_iter()
            .map(|id| (id, strength))
            .collect();
        found.extend(joined.into_iter().map(|id| (id, 1.0)));
        if found.is_empty() {
            let misspelt = stems
                .iter()
                .flat_map(|stem| self.vocabulary.misspellings(stem));
            found.extend(misspelt.map(|id| (id, MISSPELT)));
        }
        for stem in stems {
            match role {
                // Names have no other forms: `Mark` is not `marked`. But 2.28 has a 2.28.1.
                Role::Name => found.extend(
                    self.vocabulary
                        .versions(stem)
                        .into_iter()
                        .map(|id| (id, MISSPELT)),
                ),
                Role::Content | Role::Frame => {
                    found.extend(self.vocabulary.kin(stem).into_iter().map(|id| (id, KIN)));
                }
            }
        }
        found
    }

    /// How much a passage gains by a term: most by a rare one.
    fn weight(&self, exact: &[u32], role: Role) -> f32 {
        let rarity = match role {
            _ if !exact.is_empty() => exact.iter().map(|id| self.rarity(*id)).fold(1.0, f32::min),
            Role::Name => 1.0,
            Role::Content | Role::Frame => UNKNOWN,
        };
        let share = match role {
            Role::Name => NAME_WEIGHT,
            Role::Content => 1.0,
            Role::Frame => FRAME_WEIGHT,
        };
        share * (0.35 + 0.65 * rarity)
    }

    fn known(&self, stems: &[String]) -> Vec<u32> {
        stems
            .iter()
            .filter_map(|stem| self.vocabulary.get(stem))
            .collect()
    }

    /// From 0 (in every passage) to 1 (in none): BM25's inverse document frequency over its maximum.
    fn rarity(&self, term: u32) -> f32 {
        let total = self.passages.len() as f32;
        let frequency = self.frequencies[term as usize] as f32;
        let idf = |frequency: f32| (1.0 + (total - frequency + 0.5) / (frequency + 0.5)).ln();
        idf(frequency) / idf(0.0)
    }
}
