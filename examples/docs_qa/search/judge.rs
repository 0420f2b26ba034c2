//! How well one sentence answers a question, as a number.
//!
//! Every sentence gets a score between 0 and about 1:
//!
//! ```text
//! score = ( 0.40 coverage + 0.20 own + 0.20 pairs + 0.20 bm25
//!           + topic + instance + expected + preferred )
//!         * sqrt(coverage) * kind * names * alone * brief
//! ```
//!
//! - `coverage`: the share of the question's terms, weighted by rarity, that the sentence speaks about. A term counts
//!   in full in the sentence itself and less around it: elsewhere in its passage, in what introduces it, in the
//!   headings above, in the file's name, anywhere in the file. Another form of a word counts half.
//! - `own`: the same, of the sentence alone.
//! - `pairs`: how many neighbours in the question are near each other in the sentence (`drop rate`, not `rate … drop`).
//! - `bm25`: the passage's score in the wide search over the best one's.
//! - `topic`: a bonus where the heading above is what the question is about, no more and no less.
//! - `instance`: a bonus for an item or a row of what `which ..` asks for, as the heading or the lead above it says.
//! - `expected`: a bonus for what the question's form asks for: a number, a date, a person, a reason, a definition.
//! - `preferred`: a bonus for the folders and words of the reader's profile.
//! - `kind`: prose and items 1, code less; a heading says what is spoken of, seldom what is said.
//! - `names`: less for a sentence around which a name of the question, or a word that files are called after, is
//!   missing.
//! - `alone`: a little less for one that begins with `This` or `It`, or ends with a colon.
//! - `brief`: less for a sentence so long that it mentions everything.

use crate::passages::{Kind, Passage};
use crate::question::{Question, Role};
use crate::search::expected::is_measured;
use crate::search::rerank::Evidence;
use crate::search::shape::{brief, stands_alone};
use crate::search::{Entry, Index, Posting, Probe, ProbeTerm};
use crate::session::profile::Profile;

const COVERAGE: f32 = 0.40;
const OWN: f32 = 0.20;
const PAIRS: f32 = 0.20;
const BM25: f32 = 0.20;
const PREFERRED: f32 = 0.06;
const INSTANCE: f32 = 0.06;
const LACKS_NAME: f32 = 0.2;
const TOPIC: f32 = 0.10;
/// A heading that has this much in common with the question is about the same.
const TOPICAL: f32 = 0.75;

/// Where a term stands, seen from a sentence.
const NEXT_SENTENCE: f32 = 0.65;
const SAME_PASSAGE: f32 = 0.5;
const LEAD: f32 = 0.7;
const HEADING: f32 = 0.7;
const OUTER: f32 = 0.6;
const DOCUMENT: f32 = 0.15;

/// A part of an identifier counts less than a word.
const PART: f32 = 0.8;

/// A question and one of its candidate passages.
pub(crate) struct Judge<'a> {
    pub(crate) index: &'a Index,
    pub(crate) question: &'a Question,
    pub(crate) probe: &'a Probe,
    /// The terms of the question itself; those after them are carried over.
    pub(crate) asked: usize,
    pub(crate) profile: &'a Profile,
    pub(crate) passage: &'a Passage,
    pub(crate) entry: &'a Entry,
    pub(crate) id: u32,
    pub(crate) bm25: f32,
}

impl Judge<'_> {
    pub(crate) fn evidence(&self, at: usize) -> Evidence {
        let sentence = &self.passage.sentences[at];
        let own = self.own(at);
        let all = self.around(&own, at);
        let coverage = self.share(&all, self.asked);
        let own_share = self.share(&own, self.asked);
        let carried = self.share(&all, all.len());
        let raw = COVERAGE * coverage.midpoint(carried)
            + OWN * own_share
            + PAIRS * self.pairs(at)
            + BM25 * self.bm25
            + TOPIC * self.topic()
            + if self.is_instance() { INSTANCE } else { 0.0 }
            + self.expected(&sentence.text, at)
            + self.preferred(&sentence.text);
        let alone = stands_alone(&sentence.text) * brief(&sentence.text);
        Evidence {
            text: sentence.text.clone(),
            file: self.document().to_owned(),
            line: sentence.line,
            above: self.above(&sentence.text).cloned(),
            context: self.passage.context(),
            kind: self.passage.kind,
            passage: self.id,
            score: raw * coverage.sqrt() * self.kind() * self.names(&all) * alone,
            coverage,
            own: own_share,
            is_under_topic: self.passage.opens
                && self.passage.kind != Kind::Heading
                && self.topic() >= TOPICAL,
            is_wanting: self.is_wanting(&sentence.text) || self.lacks_focus(&all),
            lacks_name: self.lacks_name(&all),
        }
    }

    /// How well each term is met by the sentence itself. A row of a table says little without the head above it.
    fn own(&self, at: usize) -> Vec<f32> {
        let mut own = self.strengths(&self.entry.sentences[at], 1.0);
        if self.passage.kind == Kind::Row {
            for (known, new) in own.iter_mut().zip(self.strengths(&self.entry.lead, LEAD)) {
                *known = known.max(new);
            }
        }
        own
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
        for (other, postings) in self
            .entry
            .sentences
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at)
        {
            take(
                postings,
                if other.abs_diff(at) == 1 {
                    NEXT_SENTENCE
                } else {
                    SAME_PASSAGE
                },
            );
        }
        take(&self.entry.lead, LEAD);
        for (topic, zone) in self.entry.topics.iter().zip(zones()) {
            take(topic, zone);
        }
        let document = &self.index.documents[self.passage.document];
        for (term, found) in &self.probe.matches {
            if document.contains(term) {
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
        let met: f32 = terms()
            .zip(strengths)
            .map(|(term, strength)| term.weight * strength)
            .sum();
        if total > 0.0 { met / total } else { 0.0 }
    }

    /// The share of the question's neighbours that are neighbours here too.
    fn pairs(&self, at: usize) -> f32 {
        let terms = &self.probe.terms[..self.asked];
        let (mut met, mut total) = (0.0, 0.0);
        for (index, pair) in terms.windows(2).enumerate() {
            let is_part = pair[0].position == pair[1].position && pair[1].role == Role::Frame;
            let weight = if is_part {
                0.0
            } else {
                pair[0].weight + pair[1].weight
            };
            total += weight;
            let near = |postings: &[Posting]| self.nearness(postings, index);
            let around = near(&self.entry.lead) * LEAD;
            let above = self
                .entry
                .topics
                .iter()
                .zip(zones())
                .map(|(topic, zone)| near(topic) * zone);
            met += weight * above.fold(near(&self.entry.sentences[at]).max(around), f32::max);
        }
        // One word has no neighbours, so it lacks none.
        if total > 0.0 {
            met / total
        } else {
            self.share(&self.own(at), self.asked)
        }
    }

    fn nearness(&self, postings: &[Posting], term: usize) -> f32 {
        let positions = |term: usize| {
            postings.iter().filter_map(move |posting| {
                let found = self
                    .probe
                    .matches
                    .get(&posting.term)?
                    .iter()
                    .find(|(known, _)| *known == term)?;
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

    /// How much a heading and the question are about the same: the harmonic mean of the shares they have in common.
    pub(super) fn topic(&self) -> f32 {
        let topics = self.entry.topics.iter().enumerate();
        topics
            .map(|(above, topic)| self.common(topic) * if above == 0 { 1.0 } else { 0.8 })
            .fold(0.0, f32::max)
    }

    /// Whether this is one of the things that the question wants one of: headings and leads say what a list lists.
    fn is_instance(&self) -> bool {
        let is_listed = matches!(self.passage.kind, Kind::Item | Kind::Row);
        let (_, headings) = self
            .entry
            .topics
            .split_last()
            .unwrap_or((&self.entry.lead, &[])); // the last is the file's name
        let mut above = headings
            .iter()
            .chain([&self.entry.lead])
            .flat_map(|topic| topic.iter());
        is_listed
            && above.any(|posting| {
                let found = self.probe.matches.get(&posting.term).into_iter().flatten();
                found.into_iter().any(|(term, strength)| {
                    *strength == 1.0
                        && self
                            .question
                            .form
                            .category
                            .contains(&self.probe.terms[*term].position)
                })
            })
    }

    fn common(&self, topic: &[Posting]) -> f32 {
        let (mut met, mut total) = (0.0, 0.0);
        for posting in topic.iter().filter(|posting| !posting.is_part) {
            total += 1.0;
            met += f32::from(u8::from(self.probe.matches.contains_key(&posting.term)));
        }
        let asked = self.share(&self.strengths(topic, 1.0), self.asked);
        let spoken = if total > 0.0 { met / total } else { 0.0 };
        if asked + spoken > 0.0 {
            2.0 * asked * spoken / (asked + spoken)
        } else {
            0.0
        }
    }

    fn preferred(&self, text: &str) -> f32 {
        let folder = self
            .profile
            .folders
            .iter()
            .any(|folder| self.document().starts_with(folder.as_str()));
        let text = text.to_lowercase();
        let word = self
            .profile
            .terms
            .iter()
            .any(|term| text.contains(&term.to_lowercase()));
        PREFERRED * (f32::from(u8::from(folder)) + f32::from(u8::from(word)))
    }

    fn kind(&self) -> f32 {
        let is_dated = is_measured(self.question.form.expects);
        match self.passage.kind {
            Kind::Heading
                if is_dated && self.passage.sentences[0].text.chars().any(char::is_numeric) =>
            {
                1.0
            }
            // What a heading asks is answered below it.
            Kind::Heading if self.passage.sentences[0].text.ends_with('?') => 0.3,
            Kind::Heading => 0.6,
            Kind::Link => 0.6,
            Kind::TableHead => 0.5,
            Kind::Code => 0.8,
            Kind::Paragraph | Kind::Item | Kind::Metadata | Kind::Row => 1.0,
        }
    }

    fn document(&self) -> &str {
        &self.index.corpus.documents[self.passage.document].name
    }

    fn names(&self, all: &[f32]) -> f32 {
        let names = self
            .asked(all)
            .filter(|(term, _)| term.role == Role::Name || term.is_file);
        let missing = names.filter(|(_, strength)| *strength <= DOCUMENT);
        missing
            .map(|(term, _)| 1.0 - LACKS_NAME * term.weight.min(1.0))
            .product()
    }

    fn lacks_name(&self, all: &[f32]) -> bool {
        self.asked(all)
            .any(|(term, strength)| term.role == Role::Name && strength == 0.0)
    }

    fn lacks_focus(&self, all: &[f32]) -> bool {
        let focus = self.question.form.focus;
        self.asked(all)
            .any(|(term, strength)| Some(term.position) == focus && strength <= DOCUMENT)
    }

    /// The terms of the question itself and how well each is met.
    fn asked<'b>(&'b self, all: &'b [f32]) -> impl Iterator<Item = (&'b ProbeTerm, f32)> {
        self.probe
            .terms
            .iter()
            .take(self.asked)
            .zip(all.iter().copied())
    }
}

/// What a term in the nearest heading counts, in the next one, and so on up to the name of the file.
fn zones() -> impl Iterator<Item = f32> {
    std::iter::once(HEADING).chain(std::iter::repeat(OUTER))
}
