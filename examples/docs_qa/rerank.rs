//! The careful look at what the wide search found: which sentence of which passage answers best.
//!
//! Every sentence of every candidate gets a score between 0 and about 1:
//!
//! ```text
//! score = ( 0.40 coverage + 0.20 own + 0.20 pairs + 0.20 bm25 + topic + expected + preferred )
//!         * sqrt(coverage) * kind * names * alone * brief
//! ```
//!
//! - `coverage`: the share of the question's terms, weighted by rarity, that the sentence speaks about. A term counts in
//!   full in the sentence itself and less around it: elsewhere in its passage, in what introduces it, in the headings
//!   above, in the file's name, anywhere in the file. Another form of a word counts half.
//! - `own`: the same, of the sentence alone.
//! - `pairs`: how many neighbours in the question are near each other in the sentence (`drop rate`, not `rate … drop`).
//! - `bm25`: the passage's score in the wide search over the best one's.
//! - `topic`: a bonus where the heading above is what the question is about, no more and no less.
//! - `expected`: a bonus for what the question's form asks for: a number, a date, a person, a reason, a definition.
//! - `preferred`: a bonus for the folders and words of the reader's profile.
//! - `kind`: prose and items 1, code and front matter less; a heading says what is spoken of, seldom what is said.
//! - `names`: less for a sentence around which a name of the question does not occur.
//! - `alone`: a little less for one that begins with `This` or `It`, or ends with a colon.
//! - `brief`: less for a sentence so long that it mentions everything.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::memory::Memory;
use crate::passages::{Kind, Passage};
use crate::profile::Profile;
use crate::question::{Expect, Question, Role};
use crate::search::{Entry, Hits, Index, Posting, Probe};

const COVERAGE: f32 = 0.40;
const OWN: f32 = 0.20;
const PAIRS: f32 = 0.20;
const BM25: f32 = 0.20;
const EXPECTED: f32 = 0.12;
const PREFERRED: f32 = 0.06;
const TOPIC: f32 = 0.10;

/// Where a term stands, seen from a sentence.
const NEXT_SENTENCE: f32 = 0.65;
const SAME_PASSAGE: f32 = 0.5;
const LEAD: f32 = 0.7;
const HEADING: f32 = 0.7;
const OUTER: f32 = 0.6;
const DOCUMENT: f32 = 0.15;

/// A sentence that begins with `This` or `It` leans on the one before.
const LEANS: f32 = 0.9;
/// One that ends with a colon promises what comes after it.
const PROMISES: f32 = 0.92;

/// A part of an identifier counts less than a word.
const PART: f32 = 0.8;

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
    /// Of these, names: nothing here can answer a question about them.
    pub(crate) unknown_names: Vec<String>,
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
    pub(crate) kind: Kind,
    pub(crate) passage: u32,
    pub(crate) score: f32,
    pub(crate) coverage: f32,
    pub(crate) own: f32,
    /// Whether its document lacks a name of the question: then it speaks of something else.
    pub(crate) lacks_name: bool,
}

/// Scores every sentence of the candidates.
pub(crate) fn rerank(index: &Index, question: &Question, hits: &Hits, memory: &Memory, profile: &Profile) -> Ranking {
    let asked = hits.probe.terms.len();
    let probe = with_carried(index, question, hits, memory);
    let best = hits.passages.first().map_or(1.0, |hit| hit.score.max(f32::MIN_POSITIVE));
    let mut evidence = Vec::new();
    for hit in &hits.passages {
        let judge = Judge {
            question,
            probe: &probe,
            asked,
            profile,
            passage: &index.passages[hit.passage as usize],
            entry: &index.entries[hit.passage as usize],
            document: &index.corpus.documents[index.passages[hit.passage as usize].document].name,
            vocabulary: &index.documents[index.passages[hit.passage as usize].document],
            bm25: hit.score / best,
        };
        evidence.extend((0..judge.passage.sentences.len()).map(|sentence| judge.evidence(hit.passage, sentence)));
    }
    evidence.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (a.passage, a.line).cmp(&(b.passage, b.line))));
    evidence.truncate(KEPT);
    let unknown = || probe.terms[..asked].iter().filter(|term| !term.is_known);
    Ranking {
        evidence,
        unknown: unknown().map(|term| term.surface.clone()).collect(),
        unknown_names: unknown().filter(|term| term.role == Role::Name).map(|term| term.surface.clone()).collect(),
        documents: index.corpus.documents.len(),
    }
}

/// `What is its fix?` means the thing that was asked about before.
fn with_carried(index: &Index, question: &Question, hits: &Hits, memory: &Memory) -> Probe {
    let mut probe = hits.probe.clone();
    let Some(before) = memory.exchanges.last().filter(|_| question.is_follow_up) else { return probe };
    let Ok(before) = crate::question::guard(&before.question, &index.analyzer) else { return probe };
    let carried = index.probe(&before.terms);
    let asked = probe.terms.len();
    probe.terms.extend(carried.terms.into_iter().map(|mut term| {
        term.weight *= CARRIED;
        term
    }));
    for (id, found) in carried.matches {
        let shifted = found.into_iter().map(|(term, strength)| (term + asked, strength));
        probe.matches.entry(id).or_default().extend(shifted);
    }
    probe
}

struct Judge<'a> {
    question: &'a Question,
    probe: &'a Probe,
    /// The terms of the question itself; those after them are carried over.
    asked: usize,
    profile: &'a Profile,
    passage: &'a Passage,
    entry: &'a Entry,
    document: &'a str,
    /// The terms of the document.
    vocabulary: &'a HashSet<u32>,
    bm25: f32,
}

impl Judge<'_> {
    fn evidence(&self, id: u32, at: usize) -> Evidence {
        let sentence = &self.passage.sentences[at];
        let own = self.strengths(&self.entry.sentences[at], 1.0);
        let all = self.around(&own, at);
        let coverage = self.share(&all, self.asked);
        let own_share = self.share(&own, self.asked);
        let carried = self.share(&all, all.len());
        let raw = COVERAGE * coverage.midpoint(carried)
            + OWN * own_share
            + PAIRS * self.pairs(at)
            + BM25 * self.bm25
            + TOPIC * self.topic()
            + self.expected(&sentence.text, at)
            + self.preferred(&sentence.text);
        let file = self.document.to_owned();
        Evidence {
            text: sentence.text.clone(),
            file,
            line: sentence.line,
            context: self.passage.context(),
            kind: self.passage.kind,
            passage: id,
            score: raw * coverage.sqrt() * self.kind() * self.names(&all) * stands_alone(&sentence.text) * brief(&sentence.text),
            coverage,
            own: own_share,
            lacks_name: self.names_met(&all).any(|strength| strength == 0.0),
        }
    }

    /// How well each term is met by these postings.
    fn strengths(&self, postings: &[Posting], zone: f32) -> Vec<f32> {
        let mut strengths = vec![0.0_f32; self.probe.terms.len()];
        for posting in postings {
            for (term, strength) in self.probe.matches.get(&posting.term).into_iter().flatten() {
                let part = match self.probe.terms[*term].role {
                    _ if !posting.is_part => 1.0,
                    Role::Name => 0.0, // `Java` is not spoken of where `JavaScript` is
                    Role::Content | Role::Frame => PART,
                };
                strengths[*term] = strengths[*term].max(strength * zone * part);
            }
        }
        strengths
    }

    /// How well each term is met in the sentence or around it.
    fn around(&self, own: &[f32], at: usize) -> Vec<f32> {
        let mut all = own.to_vec();
        let mut take = |postings: &[Posting], zone: f32| {
            for (known, new) in all.iter_mut().zip(self.strengths(postings, zone)) {
                *known = known.max(new);
            }
        };
        for (other, postings) in self.entry.sentences.iter().enumerate().filter(|(other, _)| *other != at) {
            take(postings, if other.abs_diff(at) == 1 { NEXT_SENTENCE } else { SAME_PASSAGE });
        }
        take(&self.entry.lead, LEAD);
        take(&self.entry.heading, HEADING);
        take(&self.entry.outer, OUTER);
        for (term, found) in &self.probe.matches {
            if self.vocabulary.contains(term) {
                for (index, strength) in found {
                    all[*index] = all[*index].max(strength * DOCUMENT);
                }
            }
        }
        all
    }

    /// The share of the first terms' weight that is met.
    fn share(&self, strengths: &[f32], first: usize) -> f32 {
        let terms = || self.probe.terms.iter().take(first);
        let total: f32 = terms().map(|term| term.weight).sum();
        let met: f32 = terms().zip(strengths).map(|(term, strength)| term.weight * strength).sum();
        if total > 0.0 { met / total } else { 0.0 }
    }

    /// The share of the question's neighbours that are neighbours here too.
    fn pairs(&self, at: usize) -> f32 {
        let terms = &self.probe.terms[..self.asked];
        let (mut met, mut total) = (0.0, 0.0);
        for (index, pair) in terms.windows(2).enumerate() {
            let weight = pair[0].weight + pair[1].weight;
            total += weight;
            let near = |postings: &[Posting]| self.nearness(postings, index);
            let around = near(&self.entry.lead).max(near(&self.entry.heading)) * HEADING;
            met += weight * near(&self.entry.sentences[at]).max(around).max(near(&self.entry.outer) * OUTER);
        }
        // One word has no neighbours, so it lacks none.
        if terms.len() < 2 { self.share(&self.strengths(&self.entry.sentences[at], 1.0), self.asked) } else { met / total }
    }

    fn nearness(&self, postings: &[Posting], term: usize) -> f32 {
        let positions = |term: usize| {
            postings.iter().filter_map(move |posting| {
                let found = self.probe.matches.get(&posting.term)?.iter().find(|(known, _)| *known == term)?;
                Some((posting.position, found.1))
            })
        };
        let mut best = 0.0_f32;
        for (first, strength) in positions(term) {
            for (second, other) in positions(term + 1) {
                let close = match second.abs_diff(first) {
                    0 | 1 if second >= first => 1.0,
                    0..=3 => 0.6,
                    4..=6 => 0.3,
                    _ => 0.0,
                };
                best = best.max(close * strength.min(other));
            }
        }
        best
    }

    fn expected(&self, text: &str, at: usize) -> f32 {
        let matches = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|regex| regex.is_match(text));
        let is_met = match self.question.expects {
            Expect::Anything => false,
            Expect::Date => matches(&DATE),
            Expect::Number => matches(&NUMBER),
            Expect::Person => matches(&PERSON),
            Expect::Reason => matches(&REASON),
            Expect::Definition => self.defines(text, at),
        };
        if is_met { EXPECTED } else { 0.0 }
    }

    /// How much the heading and the question are about the same: the harmonic mean of the shares they have in common.
    fn topic(&self) -> f32 {
        let heading = self.entry.heading.iter().filter(|posting| !posting.is_part);
        let (mut met, mut total) = (0.0, 0.0);
        for posting in heading {
            total += 1.0;
            met += f32::from(u8::from(self.probe.matches.contains_key(&posting.term)));
        }
        let asked = self.share(&self.strengths(&self.entry.heading, 1.0), self.asked);
        let spoken = if total > 0.0 { met / total } else { 0.0 };
        if asked + spoken > 0.0 { 2.0 * asked * spoken / (asked + spoken) } else { 0.0 }
    }

    /// `X is …`, `X: …` near the start of the sentence, or the first sentence under a heading that is X.
    fn defines(&self, text: &str, at: usize) -> bool {
        let starts = |posting: &Posting| posting.position <= 2 && self.probe.matches.contains_key(&posting.term);
        let is_subject = self.entry.sentences[at].iter().any(starts);
        let opens = self.passage.opens && at == 0 && self.topic() >= 0.5;
        opens || (is_subject && DEFINES.as_ref().is_some_and(|regex| regex.is_match(text)))
    }

    fn preferred(&self, text: &str) -> f32 {
        let folder = self.profile.folders.iter().any(|folder| self.document.starts_with(folder.as_str()));
        let text = text.to_lowercase();
        let word = self.profile.terms.iter().any(|term| text.contains(&term.to_lowercase()));
        PREFERRED * (f32::from(u8::from(folder)) + f32::from(u8::from(word)))
    }

    fn kind(&self) -> f32 {
        let is_dated = matches!(self.question.expects, Expect::Date | Expect::Number);
        match self.passage.kind {
            Kind::Heading if is_dated && self.passage.sentences[0].text.chars().any(char::is_numeric) => 1.0,
            Kind::Heading => 0.7,
            Kind::TableHead => 0.6,
            Kind::Code => 0.8,
            Kind::Metadata => 0.9,
            Kind::Paragraph | Kind::Item | Kind::Row => 1.0,
        }
    }

    fn names(&self, all: &[f32]) -> f32 {
        let missing = self.names_met(all).filter(|strength| *strength <= DOCUMENT).count();
        0.85_f32.powi(i32::try_from(missing).unwrap_or(i32::MAX))
    }

    /// How well each name of the question is met.
    fn names_met(&self, all: &[f32]) -> impl Iterator<Item = f32> {
        let terms = self.probe.terms.iter().take(self.asked).zip(all);
        terms.filter(|(term, _)| term.role == Role::Name).map(|(_, strength)| *strength)
    }
}

/// Less for a sentence that is only half of what it says.
fn stands_alone(text: &str) -> f32 {
    let first = text.split(' ').next().unwrap_or_default();
    let leans = matches!(first, "This" | "That" | "It" | "They" | "These" | "Those" | "He" | "She");
    (if leans { LEANS } else { 1.0 }) * (if text.ends_with(':') { PROMISES } else { 1.0 })
}

/// From 1 down to 0.75, for a sentence of 30 words up to one of 100.
fn brief(text: &str) -> f32 {
    let words = text.split(' ').count() as f32;
    1.0 - 0.25 * ((words - 30.0) / 70.0).clamp(0.0, 1.0)
}

static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(\d{4}-\d{2}(-\d{2})?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|1\d{3}|20\d{2}|week \d|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d|\d{1,2}(st|nd|rd|th)?( of)? (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))",
    )
    .ok()
});
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundreds?|thousands?|millions?|half|dozens?|once|twice|none)\b").ok()
});
static PERSON: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i:\b(by|author|mr|mrs|miss|dr|team)\b)|\p{Ll}[\p{Ll} ,]* \p{Lu}\p{Ll}+|^\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+").ok());
static REASON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(because|since|so that|due to|in order to|therefore|reason|as a result|otherwise|weil|damit|denn|parce que|porque|perch\u{e9})\b").ok()
});
static DEFINES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^.{0,80}?(\b(is|are|was|means|refers to|provides|ist|sind|est|es|\u{e8})\b|[:\u{2013}\u{2014}]|\s-\s)").ok());
