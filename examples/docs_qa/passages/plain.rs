//! Plain text into passages: novels, reStructuredText, `AsciiDoc`, logs, notes.
//!
//! There is no grammar to lean on, so this looks for what such texts share: blank lines between blocks, underlined or
//! numbered or capital headings, bullets, indented continuations.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use crate::passages::sentences::{Break, Flow};
use crate::passages::{Collector, Kind, lead_of};

/// A heading on a line of its own is no longer than this.
const LONGEST_TITLE: usize = 80;

static BULLET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(\s*)(?:[-*+\u{2022}\u{2013}]|\(?(?:\d{1,3}|[a-zA-Z#])[.)])\s+\S").ok()
});
static CHAPTER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "chapter|part|book|section|appendix|act|scene|volume|letter|stave|canto|kapitel|chapitre|cap\u{ed}tulo";
    Regex::new(&format!(
        r"(?i)^(?:(?:{words})\s+(?:\d+|[ivxlc]+|[a-z]+)\b.*|[IVXLC]{{1,7}}\.?|\d{{1,3}}\.?)$"
    ))
    .ok()
});
static NUMBERED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(\d{1,3}(?:\.\d{1,3}){0,4})\.?\s+\p{Lu}").ok());
static MARKED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(#{1,6}|={1,6})\s+\S").ok());

/// Pours the passages of a plain text into the collector.
pub(crate) fn split(text: &str, collector: &mut Collector<'_>) {
    let lines: Vec<Line<'_>> = (1u32..)
        .zip(text.split('\n'))
        .map(|(number, text)| Line { number, text })
        .collect();
    let mut splitter = Splitter {
        collector,
        underlines: Vec::new(),
        lead: None,
    };
    for block in lines
        .split(|line| line.text.trim().is_empty())
        .filter(|block| !block.is_empty())
    {
        splitter.block(block);
    }
}

#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    number: u32,
    text: &'a str,
}

struct Splitter<'c, 's> {
    collector: &'c mut Collector<'s>,
    /// The signs headings are underlined with, in order of appearance: that is their level.
    underlines: Vec<char>,
    /// The paragraph before, if it introduces what follows.
    lead: Option<Arc<str>>,
}

impl Splitter<'_, '_> {
    /// A run of lines without a blank one.
    fn block(&mut self, block: &[Line<'_>]) {
        let mut rest = block;
        while let Some((used, level, title)) = self.heading(rest, rest.len() == block.len()) {
            let mut flow = Flow::default();
            flow.push(
                title
                    .text
                    .trim_matches(|c: char| c == '#' || c == '=' || c.is_whitespace()),
                title.number,
            );
            self.collector.heading(level, flow);
            self.lead = None;
            rest = &rest[used..];
        }
        let mut item: Vec<Line<'_>> = Vec::new();
        let mut indent = None;
        for line in rest {
            let bullet = bullet_indent(line.text);
            let is_back = indent.is_some_and(|indent| indent_of(line.text) <= indent);
            if bullet.is_some() || is_back {
                self.flush(&item, indent.is_some());
                item.clear();
                indent = bullet;
            }
            item.push(*line);
        }
        self.flush(&item, indent.is_some());
    }

    fn flush(&mut self, lines: &[Line<'_>], is_item: bool) {
        let mut flow = Flow::default();
        for line in lines.iter().filter(|line| !is_rule(line.text)) {
            let text = line.text.trim();
            let text = if is_item {
                text.trim_start_matches(['-', '*', '+', '\u{2022}', ' '])
            } else {
                text
            };
            if text.starts_with(':') || text.starts_with(".. ") {
                flow.end_line(Break::Hard); // a field or a directive of reStructuredText
            }
            flow.push(text, line.number);
            // Columns are data, whatever the width of the page.
            let is_row = text.contains("   ") || text.contains(['|', '\t']);
            flow.end_line(if is_row { Break::Hard } else { Break::Soft });
        }
        if flow.is_blank() {
            return;
        }
        let text = flow.joined();
        if is_item {
            self.collector.prose(Kind::Item, self.lead.as_ref(), flow);
            return;
        }
        self.collector
            .prose(Kind::Paragraph, self.lead.take().as_ref(), flow);
        if text.ends_with(':') {
            self.lead = lead_of(&text);
        }
    }

    /// A heading at the start of these lines: how many it takes, its level and its title.
    fn heading<'t>(
        &mut self,
        lines: &[Line<'t>],
        starts_block: bool,
    ) -> Option<(usize, u8, Line<'t>)> {
        let first = *lines.first()?;
        if is_rule(first.text) {
            // reStructuredText may draw a line above a title too.
            let (title, below) = (lines.get(1)?, lines.get(2));
            let is_framed = below.is_some_and(|below| is_rule(below.text)) && is_title(title.text);
            return is_framed.then(|| (3, self.level(first.text), *title));
        }
        if let Some(below) = lines.get(1)
            && is_rule(below.text)
            && is_title(first.text)
            && below.text.trim().chars().count() * 2 >= first.text.trim().chars().count()
        {
            return Some((2, self.level(below.text), first));
        }
        let title = first.text.trim();
        if let Some(hit) = captures(&MARKED, first.text) {
            return Some((1, u8::try_from(hit.len()).unwrap_or(6), first));
        }
        if !starts_block || lines.len() > 1 || title.chars().count() > LONGEST_TITLE {
            return None;
        }
        if CHAPTER
            .as_ref()
            .is_some_and(|chapter| chapter.is_match(title))
            || is_capitals(title)
        {
            return Some((1, 1, first));
        }
        if !is_title(title) {
            return None;
        }
        let number = captures(&NUMBERED, title)?;
        Some((
            1,
            u8::try_from(number.matches('.').count() + 1).unwrap_or(6),
            first,
        ))
    }

    fn level(&mut self, underline: &str) -> u8 {
        let sign = underline.trim().chars().next().unwrap_or('=');
        let found = self.underlines.iter().position(|known| *known == sign);
        let index = found.unwrap_or_else(|| {
            self.underlines.push(sign);
            self.underlines.len() - 1
        });
        u8::try_from(index + 1).unwrap_or(u8::MAX)
    }
}

fn captures<'t>(pattern: &LazyLock<Option<Regex>>, text: &'t str) -> Option<&'t str> {
    let captures = pattern.as_ref()?.captures(text)?;
    captures.get(1).map(|group| group.as_str())
}

fn bullet_indent(text: &str) -> Option<usize> {
    captures(&BULLET, text).map(str::len)
}

fn indent_of(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// A line drawn with one sign.
fn is_rule(text: &str) -> bool {
    let text = text.trim();
    let Some(sign) = text.chars().next() else {
        return false;
    };
    let is_drawn = text
        .chars()
        .all(|c| c == sign || matches!(c, '+' | '|' | ' '));
    text.chars().count() >= 3 && !sign.is_alphanumeric() && is_drawn
}

fn is_title(text: &str) -> bool {
    let text = text.trim();
    let ends = text.ends_with(['.', ',', ';', ':']) && captures(&NUMBERED, text).is_none();
    !text.is_empty() && text.chars().count() <= LONGEST_TITLE && !ends && !is_rule(text)
}

fn is_capitals(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_alphabetic());
    letters().count() >= 4 && letters().all(char::is_uppercase) && !text.ends_with(['!', '?'])
}
