//! The careful look at what the wide search found: which sentence of which passage answers best.

use crate::passages::{Kind, Title};
use crate::question::{Question, Role, guard};
use crate::search::judge::Judge;
use crate::search::{Hits, Index, Probe, ProbeTerm};
use crate::session::memory::Memory;
use crate::session::profile::Profile;

/// A word of the question before, where this one leans on it.
const CARRIED: f32 = 0.4;

/// How many sentences are worth keeping.
const KEPT: usize = 40;

/// The sentences that may answer, best first, and what they are measured by.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    pub(crate) evidence: Vec<Evidence>,
    /// Words of the question that stand nowhere in the folder.
    pub(crate) unknown: Vec<String>,
    /// Those of them without which nothing here can answer.
    pub(crate) unknown_subjects: Vec<String>,
    /// How many documents were searched.
    pub(crate) documents: usize,
}

/// A sentence, where it stands and how well it answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) text: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) context: String,
    /// The heading that gives the version or the date asked for, where the sentence does not.
    pub(crate) above: Option<Title>,
    pub(crate) kind: Kind,
    pub(crate) passage: u32,
    pub(crate) score: f32,
    pub(crate) coverage: f32,
    pub(crate) own: f32,
    /// Whether it is the first thing said under a heading that asks the same.
    pub(crate) is_under_topic: bool,
    /// Whether it gives no number, date or version where one is asked for, or not the property that is.
    pub(crate) is_wanting: bool,
    /// Whether its document lacks a name of the question: then it speaks of something else.
    pub(crate) lacks_name: bool,
}

/// Scores every sentence of the candidates.
pub(crate) fn rerank(
    index: &Index,
    question: &Question,
    hits: &Hits,
    memory: &Memory,
    profile: &Profile,
) -> Ranking {
    let asked = hits.probe.terms.len();
    let probe = with_carried(index, question, hits, memory);
    let best = hits
        .passages
        .first()
        .map_or(1.0, |hit| hit.score.max(f32::MIN_POSITIVE));
    let mut evidence = Vec::new();
    for hit in &hits.passages {
        let passage = &index.passages[hit.passage as usize];
        let judge = Judge {
            index,
            question,
            probe: &probe,
            asked,
            profile,
            passage,
            entry: &index.entries[hit.passage as usize],
            id: hit.passage,
            bm25: hit.score / best,
        };
        evidence.extend((0..passage.sentences.len()).map(|sentence| judge.evidence(sentence)));
    }
    evidence.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| (a.passage, a.line).cmp(&(b.passage, b.line)))
    });
    evidence.truncate(KEPT);
    let asked = &probe.terms[..asked];
    // Names, and what is counted: without them no sentence is about the question.
    let is_subject =
        |term: &ProbeTerm| term.role == Role::Name || Some(term.position) == question.form.counted;
    Ranking {
        evidence,
        unknown: unknown(asked, |term| term.role != Role::Frame),
        unknown_subjects: unknown(asked, is_subject),
        documents: index.corpus.documents.len(),
    }
}

fn unknown(terms: &[ProbeTerm], which: impl Fn(&ProbeTerm) -> bool) -> Vec<String> {
    let unknown = terms.iter().filter(|term| !term.is_known && which(term));
    unknown.map(|term| term.surface.clone()).collect()
}

/// `What is its fix?` means the thing that was asked about before.
fn with_carried(index: &Index, question: &Question, hits: &Hits, memory: &Memory) -> Probe {
    let mut probe = hits.probe.clone();
    let Some(before) = memory
        .exchanges
        .last()
        .filter(|_| question.form.is_follow_up)
    else {
        return probe;
    };
    let Ok(before) = guard(&before.question, &index.analyzer) else {
        return probe;
    };
    let carried = index.probe(&before.terms);
    let asked = probe.terms.len();
    probe
        .terms
        .extend(carried.terms.into_iter().map(|mut term| {
            term.weight *= CARRIED;
            term
        }));
    for (id, found) in carried.matches {
        let shifted = found
            .into_iter()
            .map(|(term, strength)| (term + asked, strength));
        probe.matches.entry(id).or_default().extend(shifted);
    }
    probe
}
