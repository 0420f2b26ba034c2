//! From ranked sentences to an answer, or to the plain word that there is none.

use std::collections::HashSet;
use std::fmt;

use stageflow::context::{Operation, Usage};

use crate::answer::citations::{Cited, Draft, plain};
use crate::answer::model::ModelError;
use crate::passages::Kind;
use crate::question::Question;
use crate::search::rerank::{Evidence, Ranking};
use crate::session::memory::Memory;
use crate::session::profile::Profile;

/// Sentences in an answer, unless the profile says otherwise.
const SENTENCES: usize = 4;
/// A sentence joins an answer when it is nearly as good as the first.
const NEARLY: f32 = 0.72;
/// Two sentences that share this much of their words say the same.
const SAME: f32 = 0.8;
/// The share of a question's terms that one passage must speak about, and say itself.
const LEAST_COVERAGE: f32 = 0.54;
/// The same, of one that does not give the number or the date that was asked for.
const WANTING_COVERAGE: f32 = 0.68;
const LEAST_OWN: f32 = 0.2;

/// Writes an answer from evidence. The offline one only quotes; a model may put things in its own words.
pub(crate) trait Compose: Send + Sync {
    /// What is called, as telemetry names it.
    fn operation(&self) -> Operation;

    /// Writes an answer, and says what that used.
    fn compose(&self, request: &Request<'_>, used: &mut Usage) -> Result<Composition, ModelError>;
}

#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) question: &'a Question,
    pub(crate) ranking: &'a Ranking,
    pub(crate) memory: &'a Memory,
    pub(crate) profile: &'a Profile,
    /// What the citation guard said about the last draft.
    pub(crate) objection: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Composition {
    Draft(Draft),
    Unanswerable(Unanswerable),
}

/// The documents do not answer, and why it is thought so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswerable {
    pub(crate) documents: usize,
    pub(crate) why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// No passage speaks about enough of the question.
    TooFar,
    /// These words of the question stand nowhere.
    Unknown(Vec<String>),
    /// The model found no answer in what it was shown.
    ModelFoundNone,
}

impl fmt::Display for Unanswerable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = if self.documents == 1 {
            "document"
        } else {
            "documents"
        };
        write!(
            f,
            "no passage of the {} {documents} answers this question",
            self.documents
        )?;
        match &self.why {
            Why::TooFar => f.write_str(": none speaks about enough of it"),
            Why::ModelFoundNone => f.write_str(": the model found none that does"),
            Why::Unknown(words) => {
                let words: Vec<String> = words
                    .iter()
                    .map(|word| format!("\u{201c}{word}\u{201d}"))
                    .collect();
                write!(f, ": nothing mentions {}", words.join(", "))
            }
        }
    }
}

/// Whether the evidence is worth an answer at all; asked before any model is.
pub(crate) fn answerable(ranking: &Ranking) -> Result<(), Unanswerable> {
    let is_close = ranking.evidence.iter().any(is_enough);
    if is_close && ranking.unknown_subjects.is_empty() {
        return Ok(());
    }
    let words = if ranking.unknown_subjects.is_empty() {
        &ranking.unknown
    } else {
        &ranking.unknown_subjects
    };
    let why = if words.is_empty() {
        Why::TooFar
    } else {
        Why::Unknown(words.clone())
    };
    Err(Unanswerable {
        documents: ranking.documents,
        why,
    })
}

fn is_enough(evidence: &Evidence) -> bool {
    let least = if evidence.is_wanting {
        WANTING_COVERAGE
    } else {
        LEAST_COVERAGE
    };
    let says_it = evidence.own >= LEAST_OWN || evidence.is_under_topic;
    evidence.coverage >= least && says_it && !evidence.lacks_name
}

/// Quotes the best sentences.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extractive;

impl Compose for Extractive {
    fn operation(&self) -> Operation {
        Operation::chat("extractive").provider("docs_qa")
    }

    /// Its tokens are words: those of the evidence and of the question, and those of the answer.
    fn compose(&self, request: &Request<'_>, used: &mut Usage) -> Result<Composition, ModelError> {
        let words = |text: &str| text.split_whitespace().count() as u64;
        let read = request
            .ranking
            .evidence
            .iter()
            .map(|found| words(&found.text));
        let read = read.sum::<u64>() + words(&request.question.text);
        let composition = quote(request);
        let written = match &composition {
            Composition::Draft(draft) => {
                draft.sentences.iter().map(|cited| words(&cited.text)).sum()
            }
            Composition::Unanswerable(_) => 0,
        };
        *used = Usage::tokens(read, written);
        Ok(composition)
    }
}

fn quote(request: &Request<'_>) -> Composition {
    if let Err(unanswerable) = answerable(request.ranking) {
        return Composition::Unanswerable(unanswerable);
    }
    let most = request
        .profile
        .sentences
        .map_or(SENTENCES, usize::from)
        .min(SENTENCES * 4);
    let chosen = choose(&request.ranking.evidence, most);
    let mut sentences: Vec<Cited> = Vec::new();
    for evidence in chosen {
        let whole = cited(evidence, &evidence.text, evidence.line);
        let above = evidence
            .above
            .as_ref()
            .map(|title| cited(evidence, &title.text, title.line));
        for sentence in std::iter::once(whole).chain(above) {
            let is_known = sentences
                .iter()
                .any(|known| known.file == sentence.file && known.line == sentence.line);
            if !is_known && sentences.len() < most {
                sentences.push(sentence);
            }
        }
    }
    Composition::Draft(Draft { sentences })
}

fn cited(evidence: &Evidence, text: &str, line: u32) -> Cited {
    Cited {
        text: text.to_owned(),
        quote: text.to_owned(),
        file: evidence.file.clone(),
        line,
        context: evidence.context.clone(),
        coverage: evidence.coverage,
    }
}

/// The first sentence is the best one; each other must be nearly as good and say something else.
fn choose(evidence: &[Evidence], most: usize) -> Vec<&Evidence> {
    let mut chosen: Vec<&Evidence> = Vec::new();
    let good = || evidence.iter().filter(|evidence| is_enough(evidence));
    let Some(first) = good().next() else {
        return chosen;
    };
    for candidate in good().take_while(|candidate| candidate.score >= first.score * NEARLY) {
        if chosen.len() == most {
            break;
        }
        let is_label =
            matches!(candidate.kind, Kind::Heading | Kind::TableHead) && !chosen.is_empty();
        if !is_label
            && !chosen
                .iter()
                .any(|known| is_same(&known.text, &candidate.text))
        {
            chosen.push(candidate);
        }
    }
    chosen
}

fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (plain(one), plain(other));
    let words = |text: &str| {
        text.split(' ')
            .map(str::to_owned)
            .collect::<HashSet<String>>()
    };
    let (one, other) = (words(&one), words(&other));
    let shared = one.intersection(&other).count() as f32;
    shared >= SAME * one.len().min(other.len()) as f32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn evidence(text: &str, line: u32, score: f32) -> Evidence {
        Evidence {
            text: text.into(),
            file: "a.md".into(),
            line,
            context: String::new(),
            above: None,
            kind: Kind::Paragraph,
            passage: line,
            score,
            coverage: score,
            own: score,
            is_under_topic: false,
            is_wanting: false,
            lacks_name: false,
        }
    }

    pub(crate) fn ranking(evidence: Vec<Evidence>) -> Ranking {
        Ranking {
            evidence,
            unknown: Vec::new(),
            unknown_subjects: Vec::new(),
            documents: 2,
        }
    }

    #[test]
    fn answers_are_short_and_say_a_thing_once() {
        let all = [
            evidence("Queues are bounded by default.", 3, 0.9),
            evidence("Queues are bounded, by default!", 9, 0.88),
            evidence("The bound is 1024 events.", 4, 0.8),
            evidence("Nothing else is near.", 5, 0.55),
        ];
        let lines: Vec<u32> = choose(&all, 4)
            .into_iter()
            .map(|evidence| evidence.line)
            .collect();
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn too_little_is_no_answer() {
        let none = answerable(&ranking(vec![evidence("Far away.", 1, 0.4)])).unwrap_err();
        assert_eq!(
            none.to_string(),
            "no passage of the 2 documents answers this question: none speaks about enough of it"
        );
        let unknown = Ranking {
            unknown: vec!["capital".into(), "France".into()],
            unknown_subjects: vec!["France".into()],
            ..ranking(vec![evidence("Near.", 1, 0.9)])
        };
        assert!(
            answerable(&unknown)
                .unwrap_err()
                .to_string()
                .ends_with("nothing mentions \u{201c}France\u{201d}")
        );
    }
}
