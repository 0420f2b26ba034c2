//! A text, what in it is to be left out, and what is left.

use std::borrow::Cow;
use std::ops::Range;

use super::custom::{Custom, Net};
use super::word::{Strictness, is_suspicious};
use super::{Redaction, clause, shape};

/// The text with the mark in place of everything that a rule has found.
pub(super) fn without_secrets<'a>(
    text: &'a str,
    own: Option<&Custom>,
    strictness: Strictness,
) -> Cow<'a, str> {
    let marks = Marks::of(text);
    let mut found = Vec::new();
    clause::find(text, own, &marks, &mut found);
    shape::find(text, &mut found);
    literals(text, own, &marks, &mut found);
    words(text, own, &marks, strictness, &mut found);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut done = 0;
    found.retain_mut(|range| {
        if range.end <= done {
            return false;
        }
        *range = whole_words(text, range);
        done = range.end;
        true
    });
    replaced(text, &found)
}

/// Where the mark stands already, in order: what it is made of is no word.
pub(super) struct Marks(Vec<usize>);

impl Marks {
    fn of(text: &str) -> Self {
        Self(
            text.match_indices(Redaction::MARK)
                .map(|(at, _)| at)
                .collect(),
        )
    }

    /// Whether the range has something of a mark in it.
    pub(super) fn touch(&self, range: &Range<usize>) -> bool {
        let after = self.0.partition_point(|at| *at < range.end);
        after
            .checked_sub(1)
            .is_some_and(|last| self.0[last] + Redaction::MARK.len() > range.start)
    }
}

/// The next word at or after `from`: letters, digits, `-`, `_` and `.`.
pub(super) fn next_word(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let start = from + rest.find(in_word)?;
    let end = text[start..]
        .find(|c| !in_word(c))
        .map_or(text.len(), |length| start + length);
    Some(start..end)
}

fn in_word(c: char) -> bool {
    match c {
        '-' | '_' | '.' => true,
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        _ => c.is_alphanumeric(),
    }
}

fn words(
    text: &str,
    own: Option<&Custom>,
    marks: &Marks,
    strictness: Strictness,
    found: &mut Vec<Range<usize>>,
) {
    let net = own.map_or(Net::On, |own| own.net);
    let mut from = 0;
    while let Some(word) = next_word(text, from) {
        from = word.end;
        if marks.touch(&word) {
            continue;
        }
        let (is, rest) = (&text[word.clone()], &text[word.end..]);
        let bare = is.trim_matches(['-', '_', '.']);
        let allowed = |own: &Custom| own.allowed.iter().any(|word| word == is || word == bare);
        let secret = |own: &Custom| own.matchers.iter().any(|matches| matches(is));
        let secret = own.is_some_and(secret)
            || (is_suspicious(bare, rest, strictness, net) && !own.is_some_and(allowed));
        if secret {
            found.push(word);
        }
    }
}

fn literals(text: &str, own: Option<&Custom>, marks: &Marks, found: &mut Vec<Range<usize>>) {
    for literal in own.iter().flat_map(|own| &own.literals) {
        let ranges = text
            .match_indices(literal)
            .map(|(at, hit)| at..at + hit.len());
        found.extend(ranges.filter(|range| !marks.touch(range)));
    }
}

/// The range and what is left of the words that it begins and ends in: half a word could look like another one.
fn whole_words(text: &str, range: &Range<usize>) -> Range<usize> {
    let before = text[..range.start].trim_end_matches(in_word).len();
    let after = text[range.end..].find(|c| !in_word(c));
    let starts_in_word = text[range.start..].starts_with(in_word);
    let ends_in_word = text[..range.end].ends_with(in_word);
    let start = if starts_in_word { before } else { range.start };
    let end = match after {
        _ if !ends_in_word => range.end,
        None => text.len(),
        Some(length) => range.end + length,
    };
    start..end
}

fn replaced<'a>(text: &'a str, found: &[Range<usize>]) -> Cow<'a, str> {
    let mut left = String::with_capacity(text.len());
    let (mut done, mut changed) = (0, false);
    let mut ranges = found.iter().peekable();
    while let Some(range) = ranges.next() {
        let mut end = range.end;
        while let Some(next) = ranges.next_if(|next| next.start <= end) {
            end = end.max(next.end);
        }
        left.push_str(&text[done..range.start]);
        left.push_str(Redaction::MARK);
        changed |= text[range.start..end] != *Redaction::MARK;
        done = end;
    }
    if !changed {
        return Cow::Borrowed(text);
    }
    left.push_str(&text[done..]);
    Cow::Owned(left)
}
