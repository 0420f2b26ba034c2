//! Sentences with exact line numbers.
//!
//! A splitter pours the visible text of a block into a [`Flow`], piece by piece with the line each piece stands on. The
//! flow then comes apart into sentences that still know their first and last line.

use sentencex::language_factory;
use unicode_segmentation::UnicodeSegmentation;

/// A sentence longer than this is cut once more, by Unicode's simpler rules: a page-long quotation answers nothing.
const LONG_SENTENCE: usize = 320;

/// Lines shorter than this are not wrapped prose: each stands for itself.
const NARROWEST_PROSE: usize = 48;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// As a reader sees it: without markup, its lines joined by spaces.
    pub(crate) text: String,
    /// 1-based, of its first word and of its last.
    pub(crate) line: u32,
    pub(crate) end_line: u32,
}

/// How a line end inside a block is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// A space, unless the next word would have fitted: then the writer meant it.
    Soft,
    /// The end of a sentence whatever follows.
    Hard,
}

/// The visible text of one block.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    number: u32,
    text: String,
    ends_hard: bool,
}

impl Flow {
    /// Adds text that begins on the given line; line ends inside it count.
    pub(crate) fn push(&mut self, text: &str, line: u32) {
        let mut number = line;
        for (index, part) in text.split('\n').enumerate() {
            if index > 0 {
                number += 1;
            }
            match self.lines.last_mut() {
                Some(last) if last.number == number && !last.ends_hard => {
                    push_clean(&mut last.text, part);
                }
                _ => {
                    let mut clean = String::new();
                    push_clean(&mut clean, part);
                    self.lines.push(Line {
                        number,
                        text: clean,
                        ends_hard: false,
                    });
                }
            }
        }
    }

    pub(crate) fn end_line(&mut self, how: Break) {
        if how == Break::Hard
            && let Some(last) = self.lines.last_mut()
        {
            last.ends_hard = true;
        }
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.lines
            .iter()
            .all(|line| !line.text.chars().any(char::is_alphanumeric))
    }

    /// The whole text on one line.
    pub(crate) fn joined(&self) -> String {
        let parts: Vec<&str> = self
            .lines
            .iter()
            .map(|line| line.text.trim())
            .filter(|part| !part.is_empty())
            .collect();
        collapse(&parts.join(" "))
    }

    /// The value of a `key: value` or `key = value` line, and where it stands.
    pub(crate) fn value_of(&self, key: &str) -> Option<(u32, String)> {
        let value = |line: &Line| {
            let rest = line
                .text
                .strip_prefix(key)?
                .trim_start()
                .strip_prefix([':', '='])?;
            Some((
                line.number,
                rest.trim().trim_matches(['"', '\'']).to_owned(),
            ))
        };
        self.lines
            .iter()
            .find_map(value)
            .filter(|(_, value)| !value.is_empty())
    }

    /// Each line as a sentence of its own: code and tables.
    pub(crate) fn into_lines(self) -> Vec<Sentence> {
        let shown = self
            .lines
            .into_iter()
            .filter(|line| line.text.chars().any(char::is_alphanumeric));
        shown
            .map(|line| Sentence {
                text: collapse(&line.text),
                line: line.number,
                end_line: line.number,
            })
            .collect()
    }

    /// Sentences by the rules of the language, none of them across a break that was meant. `source` is the whole
    /// document by lines: markup counts for where a line was wrapped.
    pub(crate) fn into_sentences(self, language: &str, source: &[&str]) -> Vec<Sentence> {
        let mut sentences = Vec::new();
        for run in self.runs(source) {
            split_run(&run, language, &mut sentences);
        }
        sentences
    }

    /// Neighbouring lines that were only wrapped.
    fn runs(self, source: &[&str]) -> Vec<Vec<Line>> {
        let raw = |line: &Line| {
            source
                .get(line.number as usize - 1)
                .map_or("", |raw| raw.trim_end())
        };
        let width = self
            .lines
            .iter()
            .map(|line| raw(line).chars().count())
            .max()
            .unwrap_or_default();
        let lines: Vec<Line> = self
            .lines
            .into_iter()
            .filter(|line| !line.text.trim().is_empty())
            .collect();
        let breaks = lines.windows(2).map(|pair| (raw(&pair[0]), raw(&pair[1])));
        let (mut meant, mut possible) = (0, 0);
        for (before, next) in breaks.filter(|(before, next)| may_be_meant(before, next)) {
            possible += 1;
            meant += usize::from(has_room(before, next, width));
        }
        // The widest line has no room for the next word even in a list of short notes, so the others decide.
        let is_list = meant > 0 && meant + 1 >= possible;
        let mut runs: Vec<Vec<Line>> = Vec::new();
        for line in lines {
            let goes_on = |before: &Line| {
                let (before_text, next) = (raw(before), raw(&line));
                let ends = may_be_meant(before_text, next)
                    && (is_list || has_room(before_text, next, width));
                !before.ends_hard && !ends
            };
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(goes_on) => run.push(line),
                _ => runs.push(vec![line]),
            }
        }
        runs
    }
}

/// Whether a sentence could end with the one line and begin with the next: in upper case, with a sign or a number.
fn may_be_meant(before: &str, next: &str) -> bool {
    let next = next.trim_start_matches(['>', ' ', '\t']);
    let first = next
        .chars()
        .find(|c| c.is_alphanumeric())
        .filter(|_| !next.starts_with('('));
    let last = before.rsplit(' ').next().unwrap_or_default();
    let goes_on = before.ends_with([',', '-', '(', '\u{2014}']) || CONNECTIVES.contains(&last);
    first.is_some_and(|first| !first.is_lowercase()) && !goes_on
}

/// No note ends with these.
const CONNECTIVES: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the",
    "to", "with",
];

/// Whether the next word would have fitted on the line: then the writer ended it on purpose.
fn has_room(before: &str, next: &str, width: usize) -> bool {
    let next = next.trim_start_matches(['>', ' ', '\t']);
    let first_word = next
        .split_whitespace()
        .next()
        .map_or(0, |word| word.chars().count());
    width < NARROWEST_PROSE || before.chars().count() + 1 + first_word < width
}

fn split_run(run: &[Line], language: &str, sentences: &mut Vec<Sentence>) {
    let mut text = String::new();
    let mut marks: Vec<(usize, u32)> = Vec::new();
    for line in run {
        if !text.is_empty() {
            text.push(' ');
        }
        marks.push((text.len(), line.number));
        text.push_str(line.text.trim());
    }
    let line_at = |offset: usize| {
        let index = marks.partition_point(|(start, _)| *start <= offset);
        marks[index.saturating_sub(1)].1
    };
    for (start, piece) in pieces(&text, language) {
        let lead = piece.len() - piece.trim_start().len();
        let shown = piece.trim();
        if shown.chars().any(char::is_alphanumeric) {
            let (first, last) = (start + lead, start + lead + shown.len() - 1);
            sentences.push(Sentence {
                text: collapse(shown),
                line: line_at(first),
                end_line: line_at(last),
            });
        }
    }
}

fn pieces<'a>(text: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let mut pieces = Vec::new();
    for boundary in language_factory(language).get_sentence_boundaries(text) {
        let (start, piece) = (boundary.start_byte, boundary.text);
        if piece.len() <= LONG_SENTENCE {
            pieces.push((start, piece));
        } else {
            pieces.extend(
                piece
                    .split_sentence_bound_indices()
                    .map(|(at, part)| (start + at, part)),
            );
        }
    }
    join_fragments(pieces, text)
}

/// A piece without a letter (a closing quote, a number in brackets) belongs to the piece before it.
fn join_fragments<'a>(pieces: Vec<(usize, &'a str)>, text: &'a str) -> Vec<(usize, &'a str)> {
    let mut joined: Vec<(usize, &'a str)> = Vec::new();
    for (start, piece) in pieces {
        let is_fragment = !piece.chars().any(char::is_alphabetic);
        let goes_on = joined
            .last()
            .is_some_and(|(_, before)| goes_on(before, piece));
        match joined.last_mut() {
            Some(last) if is_fragment || goes_on => {
                last.1 = &text[last.0..start + piece.len()];
            }
            _ => joined.push((start, piece)),
        }
    }
    joined
}

/// `the regex! macro` is one sentence.
fn goes_on(before: &str, next: &str) -> bool {
    let is_exclaimed = before.trim_end().ends_with(['!', '?'])
        && next.trim_start().starts_with(char::is_lowercase);
    is_exclaimed || ends_with_title(before)
}

/// `Mr.` ends no sentence; Unicode's rules, used on long ones, do not know that.
fn ends_with_title(piece: &str) -> bool {
    let last = piece
        .trim_end()
        .rsplit([' ', '(', '"', '\u{201c}'])
        .next()
        .unwrap_or_default();
    matches!(
        last,
        "Mr." | "Mrs." | "Ms." | "Dr." | "St." | "Prof." | "vs." | "e.g." | "i.e." | "cf." | "No."
    )
}

/// Terminal escapes and other controls never reach the screen of whoever asks.
fn push_clean(target: &mut String, text: &str) {
    target.extend(text.chars().map(|c| {
        if c.is_control() || is_bidi_control(c) {
            ' '
        } else {
            c
        }
    }));
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, first_line: u32) -> Vec<(String, u32, u32)> {
        let mut flow = Flow::default();
        flow.push(text, first_line);
        let mut source = vec![""; first_line as usize - 1];
        source.extend(text.lines());
        let sentences = flow.into_sentences("en", &source).into_iter();
        sentences
            .map(|sentence| (sentence.text, sentence.line, sentence.end_line))
            .collect()
    }

    #[test]
    fn wrapped_sentences_know_their_lines() {
        let text = "One morning Mr. Samsa woke from troubled dreams and found himself\n\
                    changed. He lay on his back, which was as hard as the armour that a\nbeetle wears.";
        assert_eq!(
            split(text, 7),
            [
                (
                    "One morning Mr. Samsa woke from troubled dreams and found himself changed."
                        .into(),
                    7,
                    8
                ),
                (
                    "He lay on his back, which was as hard as the armour that a beetle wears."
                        .into(),
                    8,
                    9
                ),
            ]
        );
    }

    #[test]
    fn a_break_that_was_meant_ends_a_sentence() {
        let text = "Proceed to the beta with a checkpoint after two weeks of work\nAll gaps are fixable\nNo flaws found";
        let lines: Vec<u32> = split(text, 1)
            .into_iter()
            .map(|(_, line, _)| line)
            .collect();
        assert_eq!(lines, [1, 2, 3]);
    }

    #[test]
    fn controls_are_blanked() {
        assert_eq!(
            split("a\u{1b}[31mred\u{202e} text", 1)[0].0,
            "a [31mred text"
        );
    }

    #[test]
    fn long_quotations_are_cut() {
        let speech = "I will say it again, as plainly as I am able to. ".repeat(12);
        let all = split(
            &format!("\u{201c}{speech}\u{201d} said Mr. Brown to them all."),
            1,
        );
        assert!(
            all.len() > 5 && all.iter().all(|(text, ..)| text.len() < LONG_SENTENCE),
            "{all:?}"
        );
    }
}
