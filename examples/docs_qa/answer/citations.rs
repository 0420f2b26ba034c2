//! The guard on answers: every sentence must really stand where its citation says.
//!
//! A source that is a file is read from the disk again, so neither a model's invention nor a file that changed since it was indexed
//! gets through.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use crate::corpus::{Bounds, Corpus, Document, Unreadable, read_text};
use crate::passages::{Passage, split};

/// A quotation shorter than this proves nothing, unless it is all that stands there.
const SHORTEST_QUOTE: usize = 12;
/// A sentence does not go on for more lines than this.
const MOST_LINES: usize = 60;

/// An answer before the guard has seen it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Draft {
    pub(crate) sentences: Vec<Cited>,
}

/// A sentence of an answer with its source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cited {
    pub(crate) text: String,
    /// The words of the source that say so; of an extracted sentence, the sentence.
    pub(crate) quote: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    /// Headings above it.
    pub(crate) context: String,
    /// How much of the question its place speaks about, from 0 to 1.
    pub(crate) coverage: f32,
}

impl fmt::Display for Cited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}:{}]", self.text, self.file, self.line)
    }
}

/// Every citation of an answer that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was rejected, because not every citation holds: {}", .problems.join("; "))]
pub(crate) struct CitationError {
    pub(crate) problems: Vec<String>,
}

/// Lets an answer through only if each of its citations holds.
pub(crate) fn verify(draft: &Draft, corpus: &Corpus) -> Result<(), CitationError> {
    let mut sources = Sources {
        corpus,
        read: HashMap::new(),
    };
    let problems: Vec<String> = draft
        .sentences
        .iter()
        .filter_map(|cited| sources.check(cited).err())
        .collect();
    if draft.sentences.is_empty() {
        return Err(CitationError {
            problems: vec!["it cites nothing".to_owned()],
        });
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(CitationError { problems })
    }
}

struct Sources<'a> {
    corpus: &'a Corpus,
    read: HashMap<String, Source>,
}

struct Source {
    lines: Vec<String>,
    document: Document,
    /// Taken apart only when the raw lines do not say it.
    passages: OnceCell<Vec<Passage>>,
}

impl Sources<'_> {
    fn check(&mut self, cited: &Cited) -> Result<(), String> {
        let place = format!("{}:{}", cited.file, cited.line);
        if cited.line == 0 {
            return Err(format!(
                "\u{201c}{}\u{201d} has no citation",
                shortened(&cited.text)
            ));
        }
        let Some(source) = self.source(&cited.file)? else {
            return Err(format!("[{place}] names no document of the folder"));
        };
        let at = cited.line as usize - 1;
        if at >= source.lines.len() {
            return Err(format!(
                "[{place}] is past the end: the document has {} lines",
                source.lines.len()
            ));
        }
        let quote = plain(&cited.quote);
        if quote.len() < SHORTEST_QUOTE
            && quote != plain(&source.lines[at])
            && !source.is_sentence(&quote, cited.line)
        {
            return Err(format!(
                "[{place}] is quoted with too few words: \u{201c}{}\u{201d}",
                cited.quote
            ));
        }
        if !source.stands(&quote, at) {
            return Err(format!(
                "[{place}] does not say \u{201c}{}\u{201d}",
                shortened(&cited.quote)
            ));
        }
        // A number that the source does not give is the commonest invention.
        match numbers(&cited.text)
            .find(|number| !numbers(&cited.quote).any(|known| known == *number))
        {
            Some(number) => Err(format!(
                "[{place}] is cited for {number}, which its quotation does not give"
            )),
            None => Ok(()),
        }
    }

    fn source(&mut self, file: &str) -> Result<Option<&Source>, String> {
        let name = file.strip_prefix("./").unwrap_or(file);
        let Some(document) = self
            .corpus
            .documents
            .iter()
            .find(|document| document.name == name)
        else {
            return Ok(None);
        };
        if !self.read.contains_key(name) {
            let text = read_again(document)
                .map_err(|error| format!("`{name}` was read before and now {error}"))?;
            let lines = text.split('\n').map(str::to_owned).collect();
            let document = Document {
                text,
                path: document.path.clone(),
                name: name.to_owned(),
                ..*document
            };
            self.read.insert(
                name.to_owned(),
                Source {
                    lines,
                    document,
                    passages: OnceCell::new(),
                },
            );
        }
        Ok(self.read.get(name))
    }
}

fn read_again(document: &Document) -> Result<String, Unreadable> {
    match &document.path {
        Some(path) => Ok(read_text(path, Bounds::default().file_bytes)?.text),
        None => Ok(document.text.clone()),
    }
}

impl Source {
    /// Whether the quotation begins on this line, in the source or in what a reader sees of it.
    fn stands(&self, quote: &str, at: usize) -> bool {
        let window: Vec<String> = self.lines[at..]
            .iter()
            .take(MOST_LINES)
            .map(|line| plain(line))
            .collect();
        let first = window[0].len();
        let joined = window
            .iter()
            .filter(|line| !line.is_empty())
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ");
        let raw = words_at(&joined, quote).is_some_and(|start| start < first.max(1));
        raw || self
            .passages()
            .iter()
            .any(|passage| stands_in(passage, quote, at + 1))
    }

    fn passages(&self) -> &[Passage] {
        self.passages.get_or_init(|| split(&self.document, 0, "en"))
    }

    fn is_sentence(&self, quote: &str, line: u32) -> bool {
        let sentences = self
            .passages()
            .iter()
            .flat_map(|passage| &passage.sentences);
        sentences
            .filter(|sentence| sentence.line == line)
            .any(|sentence| plain(&sentence.text) == quote)
    }
}

/// Whether a passage, without its markup, begins the quotation in a sentence that stands on this line.
fn stands_in(passage: &Passage, quote: &str, line: usize) -> bool {
    let rest = || {
        passage
            .sentences
            .iter()
            .skip_while(|sentence| (sentence.end_line as usize) < line)
    };
    let shown = |sentences: Vec<&str>| plain(&sentences.join(" "));
    let here = rest()
        .take_while(|sentence| sentence.line as usize <= line)
        .map(|sentence| sentence.text.as_str());
    let here = shown(here.collect());
    let all = shown(rest().map(|sentence| sentence.text.as_str()).collect());
    words_at(&all, quote).is_some_and(|start| start < here.len())
}

/// Where whole words of a text begin to match.
fn words_at(text: &str, words: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = text[from..].find(words) {
        let (start, end) = (from + found, from + found + words.len());
        let starts = start == 0 || text.as_bytes()[start - 1] == b' ';
        let ends = end == text.len() || text.as_bytes()[end] == b' ';
        if starts && ends {
            return Some(start);
        }
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// Letters and digits only: neither markup nor white space nor the case of a letter makes a quotation wrong.
pub(crate) fn plain(text: &str) -> String {
    let unmarked = FOOTNOTE
        .as_ref()
        .map_or_else(|| text.into(), |mark| mark.replace_all(text, " "));
    let words = unmarked
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

fn numbers(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == ','));
    let numbers = words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    numbers
        .map(|number| number.trim_end_matches(['.', ',']).replace(',', ""))
        .collect::<Vec<_>>()
        .into_iter()
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

static FOOTNOTE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[\^[^\]\s]+\]").ok());
#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Queues\n\nA **bounded** queue[^1] drops the oldest of\nits 1000 events. See [the guide](x.md) too.\n\n\
                        - Fix: 5 days\n";

    fn check(text: &str, quote: &str, file: &str, line: u32) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.md"), TEXT).unwrap();
        let corpus = crate::corpus::load(folder.path(), Bounds::default()).unwrap();
        let cited = Cited {
            text: text.into(),
            quote: quote.into(),
            file: file.into(),
            line,
            ..Cited::default()
        };
        verify(
            &Draft {
                sentences: vec![cited],
            },
            &corpus,
        )
        .map_err(|error| error.problems.join(";"))
    }

    #[test]
    fn what_stands_there_passes() {
        let sentence = "A bounded queue drops the oldest of its 1000 events.";
        assert_eq!(check(sentence, sentence, "a.md", 3), Ok(()));
        assert_eq!(
            check(
                "So it drops 1000.",
                "the oldest of its 1000 events",
                "./a.md",
                3
            ),
            Ok(())
        );
        assert_eq!(
            check("See the guide too.", "See the guide too.", "a.md", 4),
            Ok(())
        );
        assert_eq!(check("Fix: 5 days", "Fix: 5 days", "a.md", 6), Ok(()));
    }

    #[test]
    fn what_was_made_up_does_not() {
        let made_up = "A bounded queue blocks its producers.";
        let is_told = |result: Result<(), String>, what: &str| {
            let told = result.unwrap_err();
            assert!(told.contains(what), "{told}");
        };
        is_told(check(made_up, made_up, "a.md", 3), "[a.md:3] does not say");
        is_told(
            check("See the guide too.", "See the guide too.", "a.md", 1),
            "[a.md:1] does not say",
        );
        is_told(check(made_up, made_up, "b.md", 3), "names no document");
        is_told(
            check(made_up, made_up, "a.md", 99),
            "past the end: the document has 7 lines",
        );
        is_told(check("It drops.", "events", "a.md", 4), "too few words");
        is_told(
            check(
                "It drops 2000 events.",
                "the oldest of its 1000 events",
                "a.md",
                3,
            ),
            "cited for 2000",
        );
        is_told(check(made_up, made_up, "", 0), "has no citation");
        assert!(
            verify(
                &Draft::default(),
                &Corpus {
                    documents: vec![],
                    notes: vec![]
                }
            )
            .is_err()
        );
    }
}
