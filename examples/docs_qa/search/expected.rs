//! Whether a sentence gives what the form of the question waits for.

use crate::passages::Title;
use crate::question::Expect;
use crate::search::Posting;
use crate::search::judge::Judge;
use crate::search::shape;

const EXPECTED: f32 = 0.12;
/// What a sentence of the form `X is …` counts of one that opens what is said about X.
const SUBJECT: f32 = 0.7;

impl Judge<'_> {
    pub(super) fn expected(&self, text: &str, at: usize) -> f32 {
        let share: f32 = match self.question.form.expects {
            Expect::Anything => 0.0,
            Expect::Definition => self.defines(text, at),
            Expect::Number if self.counts(at) => 1.5,
            Expect::Number if self.question.form.counted.is_some() => {
                shape::is_met(Expect::Number, text) * 0.5
            }
            other => {
                shape::is_met(other, text).max(f32::from(u8::from(self.above(text).is_some())))
            }
        };
        // What must be in the answer and is not costs more than a bonus.
        EXPECTED
            * if share == 0.0 && is_measured(self.question.form.expects) {
                -1.0
            } else {
                share
            }
    }

    /// Whether the question asks for a number, a date or a version that is neither in the sentence nor above it.
    pub(super) fn is_wanting(&self, text: &str) -> bool {
        let expects = self.question.form.expects;
        is_measured(expects) && shape::is_met(expects, text) == 0.0 && self.above(text).is_none()
    }

    /// The heading that holds what the sentence lacks: the release above a change, with its date.
    pub(super) fn above(&self, text: &str) -> Option<&Title> {
        let expects = self.question.form.expects;
        if !matches!(expects, Expect::Date | Expect::Version) || shape::is_met(expects, text) > 0.0
        {
            return None;
        }
        self.passage
            .headings
            .iter()
            .rev()
            .find(|title| shape::is_met(expects, &title.text) > 0.0)
    }

    /// `how many runs` is answered by a number right before `runs`.
    fn counts(&self, at: usize) -> bool {
        let Some(counted) = self.question.form.counted else {
            return false;
        };
        let sentence = &self.entry.sentences[at];
        let is_counted = |posting: &Posting| {
            let found = self.probe.matches.get(&posting.term).into_iter().flatten();
            found
                .into_iter()
                .any(|(term, _)| self.probe.terms[*term].position == counted)
        };
        let numbers = sentence
            .iter()
            .filter(|posting| shape::is_number(self.index.vocabulary.stem(posting.term)));
        numbers.into_iter().any(|number| {
            let after = |posting: &&Posting| {
                (1..=3).contains(&posting.position.wrapping_sub(number.position))
            };
            sentence.iter().filter(after).any(is_counted)
        })
    }

    /// The first sentence under a heading that is X, or `X is …`, `X: …` near the start of a sentence.
    fn defines(&self, text: &str, at: usize) -> f32 {
        if self.passage.opens && at == 0 && self.topic() >= 0.5 {
            return 1.0;
        }
        let is_asked = |posting: &&Posting| self.probe.matches.contains_key(&posting.term);
        let mut starts = self.entry.sentences[at]
            .iter()
            .filter(|posting| posting.position <= 2);
        if starts.any(|posting| is_asked(&posting)) {
            shape::is_met(Expect::Definition, text) * SUBJECT
        } else {
            0.0
        }
    }
}

/// Whether an answer to it holds a number.
pub(super) fn is_measured(expects: Expect) -> bool {
    matches!(expects, Expect::Date | Expect::Number | Expect::Version)
}
