//! Markdown into passages: paragraphs, list items, table rows, code blocks, headings, front matter.
//!
//! A walk over pulldown-cmark's events. Each carries its place in the source, so every line number is exact whatever
//! the nesting.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use pulldown_cmark::{
    CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeWithOffset,
};
use regex::Regex;

use crate::passages::sentences::{Break, Flow};
use crate::passages::{Collector, Kind, joined_lead, lead_of};

/// A whole-line bold paragraph up to this long is a heading in all but name.
const LONGEST_BOLD_TITLE: usize = 100;

/// `[^3]` whose definition is elsewhere, or lost.
static FOOTNOTE_MARK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[\^[^\]\s]+\]").ok());
static HTML_TAG: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?s)<!--.*?(-->|$)|</?[A-Za-z][^>]*>").ok());

/// Pours the passages of a Markdown document into the collector.
pub(crate) fn split(text: &str, collector: &mut Collector<'_>) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_GFM;
    let mut splitter = Splitter::new(text, collector);
    for (event, range) in
        TextMergeWithOffset::new(Parser::new_ext(text, options).into_offset_iter())
    {
        splitter.event(event, range);
    }
    splitter.flush(Kind::Paragraph);
}

struct Splitter<'a, 'c, 's> {
    collector: &'c mut Collector<'s>,
    line_starts: Vec<usize>,
    text: &'a str,
    flow: Flow,
    /// Blocks that hold blocks: the document, list items, quotations.
    frames: Vec<Frame>,
    /// What introduces each open list.
    lists: Vec<Option<Arc<str>>>,
    /// A bold line that stands over what follows, until the next heading.
    bold_title: Option<Arc<str>>,
    bold: Bold,
    bold_bytes: usize,
    /// How much of the text of this block is inside links.
    linked_bytes: usize,
    is_linked: bool,
    table_head: Option<Arc<str>>,
    cells: usize,
    inside: Inside,
    /// An open HTML block and where it begins: tags and comments may span its lines.
    html: Option<(usize, String)>,
}

#[derive(Default)]
struct Frame {
    kind: Option<Kind>,
    lead: Option<Arc<str>>,
    /// The last block of prose in it: what introduces the list, table or code that follows.
    last: Option<Arc<str>>,
}

/// How much of a paragraph is bold.
#[derive(Clone, Copy, PartialEq)]
enum Bold {
    /// No paragraph is open, or it began with plain text.
    No,
    /// Nothing was seen of it yet.
    Unknown,
    /// Bold text is open at its start.
    Open,
    /// It began in bold, which ended.
    Began,
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Prose,
    Code,
    Html,
    Metadata,
    TableHead,
    TableRow,
}

impl<'a, 'c, 's> Splitter<'a, 'c, 's> {
    fn new(text: &'a str, collector: &'c mut Collector<'s>) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            collector,
            line_starts,
            text,
            flow: Flow::default(),
            frames: vec![Frame::default()],
            lists: Vec::new(),
            bold_title: None,
            bold: Bold::No,
            bold_bytes: 0,
            linked_bytes: 0,
            is_linked: false,
            table_head: None,
            cells: 0,
            inside: Inside::Prose,
            html: None,
        }
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text)
            | Event::Code(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text) => {
                self.text(&text, range.start);
            }
            Event::Html(html) => {
                self.html
                    .get_or_insert_with(|| (range.start, String::new()))
                    .1
                    .push_str(&html);
            }
            Event::InlineHtml(html) => self.inline_html(&html, range.start),
            Event::SoftBreak => self.flow.end_line(Break::Soft),
            Event::HardBreak => self.flow.end_line(Break::Hard),
            Event::Rule => self.frame().last = None,
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph => {
                self.flush(Kind::Paragraph);
                (self.bold, self.bold_bytes) = (Bold::Unknown, 0);
            }
            Tag::Heading { .. } => self.flush(Kind::Paragraph),
            Tag::BlockQuote(_) | Tag::FootnoteDefinition(_) => {
                self.flush(Kind::Paragraph);
                let lead = self.lead();
                self.frames.push(Frame {
                    kind: None,
                    lead,
                    last: None,
                });
            }
            Tag::List(_) => {
                self.flush(Kind::Paragraph);
                let lead = self.lead();
                self.lists.push(lead);
            }
            Tag::Item => {
                let lead = self.lists.last().cloned().flatten();
                self.frames.push(Frame {
                    kind: Some(Kind::Item),
                    lead,
                    last: None,
                });
            }
            // MyST writes its notes as fenced code: ```{note}.
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) if is_directive(info) => {
                self.enter(Inside::Prose);
            }
            Tag::CodeBlock(_) => self.enter(Inside::Code),
            Tag::HtmlBlock => self.enter(Inside::Html),
            Tag::MetadataBlock(_) => self.enter(Inside::Metadata),
            Tag::Table(_) => {
                self.flush(Kind::Paragraph);
                self.table_head = None;
            }
            Tag::TableHead => self.enter(Inside::TableHead),
            Tag::TableRow => self.enter(Inside::TableRow),
            Tag::TableCell => self.cells += 1,
            Tag::Link { .. } => self.is_linked = true,
            Tag::Strong if self.bold == Bold::Unknown => self.bold = Bold::Open,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.flush(Kind::Paragraph),
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition | TagEnd::Item => {
                self.flush(Kind::Paragraph);
                self.frames.pop();
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::CodeBlock if self.inside == Inside::Prose => self.flush(Kind::Paragraph),
            TagEnd::CodeBlock => self.leave_lines(Kind::Code),
            TagEnd::HtmlBlock => self.leave_html(),
            TagEnd::MetadataBlock(_) => self.leave_lines(Kind::Metadata),
            TagEnd::TableHead => {
                self.table_head = lead_of(&self.flow.joined());
                self.leave_lines(Kind::TableHead);
            }
            TagEnd::TableRow => self.leave_lines(Kind::Row),
            TagEnd::Link => self.is_linked = false,
            TagEnd::Strong if self.bold == Bold::Open => self.bold = Bold::Began,
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let flow = std::mem::take(&mut self.flow);
        self.collector.heading(level as u8, flow);
        self.bold_title = None;
        self.frame().last = None;
    }

    fn text(&mut self, text: &str, at: usize) {
        match self.bold {
            Bold::Unknown if !text.trim().is_empty() => self.bold = Bold::No,
            Bold::Open => self.bold_bytes += text.len(),
            Bold::No | Bold::Unknown | Bold::Began => {}
        }
        self.linked_bytes += if self.is_linked { text.len() } else { 0 };
        if matches!(self.inside, Inside::TableHead | Inside::TableRow) && self.cells > 1 {
            let line = self.line_of(at);
            self.flow.push(" | ", line);
        }
        self.cells = self.cells.min(1);
        let line = self.line_of(at);
        match &*FOOTNOTE_MARK {
            Some(mark) if self.inside != Inside::Code => {
                self.flow.push(&mark.replace_all(text, ""), line);
            }
            _ => self.flow.push(text, line),
        }
    }

    /// Keeps what a browser would show of a block of HTML.
    fn leave_html(&mut self) {
        self.inside = Inside::Prose;
        if let (Some((at, html)), Some(tag)) = (self.html.take(), &*HTML_TAG) {
            // The line ends of what goes stay, for the numbers of the lines after it.
            let shown = tag.replace_all(&html, |hit: &regex::Captures<'_>| {
                match hit[0].matches('\n').count() {
                    0 => " ".to_owned(),
                    lines => "\n".repeat(lines),
                }
            });
            let line = self.line_of(at);
            self.flow.push(shown.trim_end_matches('\n'), line);
        }
        self.flush(Kind::Paragraph);
    }

    /// `Vec<T>` outside of code is no tag, whatever the parser thinks.
    fn inline_html(&mut self, html: &str, at: usize) {
        let line = self.line_of(at);
        let is_type = html[1..].starts_with(|c: char| c.is_ascii_uppercase());
        self.flow.push(if is_type { html } else { " " }, line);
    }

    fn enter(&mut self, inside: Inside) {
        self.flush(Kind::Paragraph);
        self.inside = inside;
        self.cells = 0;
    }

    /// Ends a block whose lines stand for themselves.
    fn leave_lines(&mut self, kind: Kind) {
        self.inside = Inside::Prose;
        let flow = std::mem::take(&mut self.flow);
        if kind == Kind::Metadata {
            self.collector.front_matter(flow);
            return;
        }
        let lead = match kind {
            Kind::Row => joined_lead(self.lead().as_ref(), self.table_head.as_ref()),
            _ => self.lead(),
        };
        self.collector.lines(kind, lead.as_ref(), flow);
    }

    /// Ends a block of prose, if one is open.
    fn flush(&mut self, kind: Kind) {
        let bold = std::mem::replace(&mut self.bold, Bold::No);
        let linked_bytes = std::mem::take(&mut self.linked_bytes);
        if self.flow.is_blank() {
            self.flow = Flow::default();
            return;
        }
        let flow = std::mem::take(&mut self.flow);
        let text = flow.joined();
        let is_bold = bold == Bold::Began && self.bold_bytes * 2 >= text.len();
        if is_bold
            && self.frames.len() == 1
            && text.len() <= LONGEST_BOLD_TITLE
            && !text.ends_with('.')
        {
            self.bold_title = Some(text.as_str().into());
            self.collector.prose(Kind::Heading, None, flow);
            self.frame().last = None;
            return;
        }
        let goes_on = self.frames.len() > 1 && self.frame().kind.is_none();
        let lead = if goes_on {
            self.lead()
        } else {
            self.outer_lead()
        };
        let frame = self.frame();
        let kind = frame.kind.take().unwrap_or(kind);
        let is_contents = kind == Kind::Item && linked_bytes * 10 >= text.len() * 9;
        let kind = if is_contents { Kind::Link } else { kind };
        frame.last = lead_of(&text);
        self.collector.prose(kind, lead.as_ref(), flow);
    }

    /// What introduces the next block of this frame.
    fn lead(&mut self) -> Option<Arc<str>> {
        let outer = self.outer_lead();
        let last = self.frame().last.clone();
        joined_lead(outer.as_ref(), last.as_ref())
    }

    fn outer_lead(&mut self) -> Option<Arc<str>> {
        if self.frames.len() == 1 {
            self.bold_title.clone()
        } else {
            self.frame().lead.clone()
        }
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn line_of(&self, at: usize) -> u32 {
        // A text event may begin with the line end before it.
        let skipped = self.text[at..]
            .bytes()
            .take_while(|byte| *byte == b'\n' && self.inside != Inside::Code)
            .count();
        let line = self
            .line_starts
            .partition_point(|start| *start <= at + skipped);
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}

fn is_directive(info: &str) -> bool {
    let prose = [
        "note",
        "tip",
        "hint",
        "important",
        "warning",
        "caution",
        "attention",
        "seealso",
        "admonition",
    ];
    info.strip_prefix('{')
        .is_some_and(|rest| prose.iter().any(|name| rest.starts_with(name)))
}
