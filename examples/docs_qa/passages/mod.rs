//! Passages: the pieces of a document that can answer a question, each with the context it stands in.

mod markdown;
mod plain;
pub(crate) mod sentences;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::sentences::{Flow, Sentence};
use crate::corpus::{Document, Format};

/// Longer blocks are cut: a text without a blank line must not become one passage.
const MOST_SENTENCES: usize = 12;
/// An item up to this long is one sentence.
const LONGEST_WHOLE: usize = 220;
/// A context this long says no more than its last sentence.
const LONGEST_LEAD: usize = 240;

/// One block of a document.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// Index into the documents of the corpus.
    pub(crate) document: usize,
    pub(crate) kind: Kind,
    /// The headings above it, outermost first.
    pub(crate) headings: Arc<[Title]>,
    /// What introduces it: the paragraph before a list, the item around a nested one, the head of a table.
    pub(crate) lead: Option<Arc<str>>,
    /// Whether it is the first thing said under its heading.
    pub(crate) opens: bool,
    pub(crate) sentences: Vec<Sentence>,
}

/// A heading and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) text: Arc<str>,
    pub(crate) line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Heading,
    Paragraph,
    Item,
    /// An item that is nothing but a link: a table of contents.
    Link,
    Row,
    /// The head of a table.
    TableHead,
    Code,
    /// Front matter.
    Metadata,
}

impl Passage {
    /// Headings and lead, outermost first: `Guide > Queues > Overflow`.
    pub(crate) fn context(&self) -> String {
        let parts: Vec<&str> = self
            .headings
            .iter()
            .map(|title| &title.text)
            .chain(&self.lead)
            .map(AsRef::as_ref)
            .collect();
        parts.join(" > ")
    }
}

/// Takes a document apart.
pub(crate) fn split(document: &Document, index: usize, language: &'static str) -> Vec<Passage> {
    let mut collector = Collector::new(index, language, &document.text);
    match document.format {
        Format::Markdown => markdown::split(&document.text, &mut collector),
        Format::Plain => plain::split(&document.text, &mut collector),
    }
    collector.into_passages()
}

/// What both splitters fill: passages under a stack of headings.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    document: usize,
    language: &'static str,
    source: Vec<&'a str>,
    stack: Vec<(u8, Title)>,
    headings: Arc<[Title]>,
    passages: Vec<Passage>,
    /// Whether nothing was said under the last heading yet.
    is_fresh: bool,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(document: usize, language: &'static str, text: &'a str) -> Self {
        let source = text.split('\n').collect();
        Self {
            document,
            language,
            source,
            stack: Vec::new(),
            headings: Arc::from([]),
            passages: Vec::new(),
            is_fresh: true,
        }
    }

    pub(crate) fn into_passages(self) -> Vec<Passage> {
        self.passages
    }

    /// Adds a heading, which is a passage too, and puts what follows under it.
    pub(crate) fn heading(&mut self, level: u8, flow: Flow) {
        if flow.is_blank() {
            return;
        }
        let title: Arc<str> = flow.joined().into();
        self.stack.retain(|(above, _)| *above < level);
        self.set_headings();
        // Titles are not cut: `Dr. No` and `1. Overview` are one sentence each.
        let lines = flow.into_lines();
        if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
            let (line, end_line) = (first.line, last.end_line);
            self.push(
                Kind::Heading,
                None,
                &[Sentence {
                    text: title.to_string(),
                    line,
                    end_line,
                }],
            );
            self.stack.push((level, Title { text: title, line }));
            self.set_headings();
        }
    }

    /// Adds the lines of the front matter, and puts everything under the title that it gives.
    pub(crate) fn front_matter(&mut self, flow: Flow) {
        let title = flow.value_of("title");
        if let Some((line, title)) = &title {
            self.stack.push((
                0,
                Title {
                    text: title.as_str().into(),
                    line: *line,
                },
            ));
            self.set_headings();
        }
        let is_title = |sentence: &Sentence| {
            title
                .as_ref()
                .is_some_and(|(line, _)| *line == sentence.line)
        };
        let (title, rest): (Vec<_>, Vec<_>) = flow.into_lines().into_iter().partition(is_title);
        self.push(Kind::Heading, None, &title);
        self.push(Kind::Metadata, None, &rest);
    }

    /// Adds a block of prose.
    pub(crate) fn prose(&mut self, kind: Kind, lead: Option<&Arc<str>>, flow: Flow) {
        if !flow.is_blank() {
            let mut sentences = flow.into_sentences(self.language, &self.source);
            if kind == Kind::Item {
                sentences = whole_if_short(sentences);
            }
            self.push(kind, lead, &sentences);
        }
    }

    /// Adds a block whose lines stand for themselves.
    pub(crate) fn lines(&mut self, kind: Kind, lead: Option<&Arc<str>>, flow: Flow) {
        let sentences = flow.into_lines();
        self.push(kind, lead, &sentences);
    }

    fn push(&mut self, kind: Kind, lead: Option<&Arc<str>>, sentences: &[Sentence]) {
        for chunk in sentences.chunks(MOST_SENTENCES) {
            self.passages.push(Passage {
                document: self.document,
                kind,
                headings: Arc::clone(&self.headings),
                lead: lead.cloned(),
                opens: self.is_fresh,
                sentences: chunk.to_vec(),
            });
            self.is_fresh = kind == Kind::Heading || (self.is_fresh && kind == Kind::Metadata);
        }
    }

    fn set_headings(&mut self) {
        self.headings = self.stack.iter().map(|(_, title)| title.clone()).collect();
    }
}

/// A short item is one thing said: `size - how many are kept. Default: 5`.
fn whole_if_short(sentences: Vec<Sentence>) -> Vec<Sentence> {
    let length: usize = sentences
        .iter()
        .map(|sentence| sentence.text.len() + 1)
        .sum();
    let (Some(first), Some(last)) = (sentences.first(), sentences.last()) else {
        return sentences;
    };
    if length > LONGEST_WHOLE {
        return sentences;
    }
    let texts: Vec<&str> = sentences
        .iter()
        .map(|sentence| sentence.text.as_str())
        .collect();
    vec![Sentence {
        text: texts.join(" "),
        line: first.line,
        end_line: last.end_line,
    }]
}

/// What a block says to the block it introduces.
pub(crate) fn lead_of(text: &str) -> Option<Arc<str>> {
    if text.is_empty() {
        return None;
    }
    let start = text.len().saturating_sub(LONGEST_LEAD);
    if start == 0 {
        return Some(text.into());
    }
    let start = (start..text.len()).find(|at| text.is_char_boundary(*at))?;
    let tail = &text[start..];
    let sentence = tail
        .find(['.', '!', '?'])
        .map_or(tail, |at| tail[at + 1..].trim_start());
    Some(if sentence.is_empty() {
        tail.into()
    } else {
        sentence.into()
    })
}

/// A context made of an outer and an inner one.
pub(crate) fn joined_lead(outer: Option<&Arc<str>>, inner: Option<&Arc<str>>) -> Option<Arc<str>> {
    match (outer, inner) {
        (Some(outer), Some(inner)) => Some(format!("{outer} > {inner}").into()),
        (one, other) => one.or(other).cloned(),
    }
}
