//! What follows the name of a secret in a text: `password=x`, `"token": "x"`, `Bearer x`.

use std::ops::Range;

use super::Redaction;
use super::custom::Custom;
use super::names::{Secrecy, secrecy};
use super::scan::{Marks, next_word};

pub(super) fn find(text: &str, own: Option<&Custom>, marks: &Marks, found: &mut Vec<Range<usize>>) {
    let (mut from, mut before) = (0, None::<Range<usize>>);
    while let Some(word) = next_word(text, from) {
        from = word.end;
        if marks.touch(&word) {
            before = None;
            continue;
        }
        let value =
            after_scheme(text, &word).or_else(|| after_name(text, &word, before.as_ref(), own));
        before = Some(word);
        if let Some(value) = value {
            // What was found is not looked at again: this is what makes it linear.
            from = from.max(value.end);
            before = None;
            found.push(value);
        }
    }
}

/// How a name and its value are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `=`
    Assigned,
    /// `:`, `=>`, `->`, `:=`
    Named,
    /// `Password(x)`
    Wrapped,
    /// `password "x"`
    Beside,
}

/// The value after a name that says it is a secret.
fn after_name(
    text: &str,
    word: &Range<usize>,
    before: Option<&Range<usize>>,
    own: Option<&Custom>,
) -> Option<Range<usize>> {
    let (joint, start) = joint(text, word)?;
    let name = &text[word.clone()];
    let secrecy = match secrecy(name, own) {
        Secrecy::None => {
            let beside = before.filter(|before| text[before.end..word.start] == *" ")?;
            of_two(text, beside, name, own)
        }
        secrecy => secrecy,
    };
    let is_secret = match secrecy {
        Secrecy::None => false,
        Secrecy::Weak => joint == Joint::Assigned,
        Secrecy::UnlessNumber => joint != Joint::Beside && !is_count(&text[start..]),
        Secrecy::Always => joint != Joint::Beside || !name.ends_with("oken"),
        Secrecy::Line => true,
    };
    let value = is_secret.then(|| match joint {
        Joint::Wrapped => start..inside_group(text, start),
        _ => value(text, start, secrecy),
    })?;
    (!value.is_empty()).then_some(value)
}

/// Names of two words: `api key`, and `password hash`, but not `password reset`.
fn of_two(text: &str, before: &Range<usize>, name: &str, own: Option<&Custom>) -> Secrecy {
    const SAYS_NO_MORE: &[&str] = &[
        "code", "data", "digest", "hash", "header", "is", "number", "string", "text", "value",
        "values", "was", "count", "limit", "usage", "used",
    ];
    let first = &text[before.clone()];
    match secrecy(first, own) {
        Secrecy::None => secrecy(&format!("{first} {name}"), own),
        _ if SAYS_NO_MORE
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word)) =>
        {
            secrecy(&format!("{first} {name}"), own)
        }
        _ => Secrecy::None,
    }
}

/// What is between a name and its value, and where the value starts.
fn joint(text: &str, word: &Range<usize>) -> Option<(Joint, usize)> {
    let rest = &text[word.end..];
    if rest.starts_with('(') {
        return Some((Joint::Wrapped, word.end + 1));
    }
    if rest.starts_with('>') && text[word.clone()].ends_with('-') {
        return Some((Joint::Named, after_blanks(text, word.end + 1)));
    }
    let unquoted = rest.trim_start_matches('\\');
    let unquoted = unquoted.strip_prefix(['"', '\'', '`']).unwrap_or(unquoted);
    let unquoted = unquoted.strip_prefix(']').unwrap_or(unquoted);
    let joint = unquoted.trim_start_matches([' ', '\t']);
    let is_near = joint.len() < rest.len() && unquoted.len() == rest.len();
    let at = text.len() - joint.len();
    let (kind, length) = match joint.as_bytes() {
        [b':', b':', ..] => return None,
        [b'=', b'>', ..] | [b'-', b'>', ..] | [b':', b'=', ..] => (Joint::Named, 2),
        [b'=', b'=', ..] => (Joint::Assigned, 2),
        [b'=', ..] => (Joint::Assigned, 1),
        [b':', ..] => (Joint::Named, 1),
        [b'"' | b'\'' | b'`', ..] if is_near => (Joint::Beside, 0),
        _ => return None,
    };
    Some((kind, after_blanks(text, at + length)))
}

fn after_blanks(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    text.len() - rest.trim_start_matches([' ', '\t']).len()
}

/// `512`, `"512"`, `4_096`: a count, and no secret.
fn is_count(value: &str) -> bool {
    const MOST: usize = 7;
    let value = value.trim_start_matches(['\\', '"', '\'']);
    let word = next_word(value, 0).filter(|word| word.start == 0);
    word.is_some_and(|word| {
        let digits = value[word.clone()].trim_end_matches('.');
        let count = digits.bytes().filter(u8::is_ascii_digit).count();
        let only = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_');
        only && (1..=MOST).contains(&count)
    })
}

/// The value that starts here.
fn value(text: &str, start: usize, secrecy: Secrecy) -> Range<usize> {
    if text[start..].starts_with(Redaction::MARK) {
        return start..clause_end(text, start, secrecy);
    }
    let quote = text[start..].trim_start_matches('\\');
    let escapes = text.len() - start - quote.len();
    match quote.chars().next() {
        Some(mark @ ('"' | '\'' | '`')) => {
            let inside = start + escapes + 1;
            inside..closing_quote(text, inside, mark, escapes)
        }
        _ => start..clause_end(text, start, secrecy),
    }
}

/// Where a quoted text ends, without the quote and the backslashes before it; at the end of all if it does not end.
fn closing_quote(text: &str, from: usize, quote: char, escapes: usize) -> usize {
    for (at, _) in text[from..].match_indices(quote) {
        let inside = &text[from..from + at];
        let slashes = inside.len() - inside.trim_end_matches('\\').len();
        let closes = if escapes == 0 {
            slashes % 2 == 0
        } else {
            slashes <= escapes
        };
        if closes {
            return if escapes == 0 {
                from + at
            } else {
                from + at - slashes
            };
        }
    }
    text.len()
}

/// Where a clause ends that is not quoted: at a separator, at the end of the line, or where the bracket or the quote closes
/// that it is in.
fn clause_end(text: &str, start: usize, secrecy: Secrecy) -> usize {
    let whole_line = secrecy == Secrecy::Line;
    let mut at = start;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(Redaction::MARK) {
            at += Redaction::MARK.len();
            continue;
        }
        let next = at + c.len_utf8();
        match c {
            '\n' | '\r' => break,
            ',' | ';' | '&' | ')' | ']' | '}' | '>' if !whole_line => break,
            '(' | '[' | '{' if !whole_line => {
                at = inside_group(text, next);
                at += text[at..].chars().next().map_or(0, char::len_utf8);
                continue;
            }
            '"' | '\'' | '`' => match quote_at(text, start, at, c) {
                Quote::Closes => break,
                Quote::Apostrophe => {}
                Quote::Opens => {
                    at = closing_quote(text, next, c, 0);
                    at += text[at..].chars().next().map_or(0, char::len_utf8);
                    continue;
                }
            },
            '\\' if text[next..].starts_with(['"', '\'']) => break,
            _ => {}
        }
        at = next;
    }
    start + text[start..at].trim_end().len()
}

enum Quote {
    Apostrophe,
    Closes,
    Opens,
}

fn quote_at(text: &str, start: usize, at: usize, quote: char) -> Quote {
    let before = text[start..at].chars().next_back();
    let opens = before.is_none_or(|c| c.is_whitespace() || "([{=:,".contains(c));
    // `b"..."` and `br"..."`.
    if opens || (at - start <= 2 && text[start..at].chars().all(|c| c.is_ascii_alphabetic())) {
        return Quote::Opens;
    }
    let goes_on = text[at + 1..].starts_with(char::is_alphanumeric);
    if quote == '\'' && goes_on {
        return Quote::Apostrophe;
    }
    Quote::Closes
}

/// Where the bracket closes whose inside starts here; at the end of all if it does not.
fn inside_group(text: &str, start: usize) -> usize {
    let mut depth = 1_usize;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The credentials after `Bearer` or `Basic`.
fn after_scheme(text: &str, word: &Range<usize>) -> Option<Range<usize>> {
    const PROSE: &[&str] = &[
        "and",
        "auth",
        "authentication",
        "authorization",
        "credentials",
        "expired",
        "header",
        "invalid",
        "is",
        "missing",
        "not",
        "or",
        "required",
        "scheme",
        "token",
        "tokens",
        "was",
    ];
    let scheme = &text[word.clone()];
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    if !bearer && !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let start = after_blanks(text, word.end);
    if start == word.end {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || ",;\"'`)]}>\\".contains(c);
    let rest = &text[start..];
    let mark = if rest.starts_with(Redaction::MARK) {
        Redaction::MARK.len()
    } else {
        0
    };
    let end = rest[mark..]
        .find(ends)
        .map_or(text.len(), |length| start + mark + length);
    let value = &text[start..end];
    if bearer {
        let is_prose = value.is_empty() || PROSE.contains(&value.trim_end_matches(['.', ':']));
        return (!is_prose).then_some(start..end);
    }
    let mixed = value.chars().skip(1).any(char::is_uppercase) && value.contains(char::is_lowercase);
    let is_base64 = mark > 0
        || (value.len() >= 8
            && (mixed || value.ends_with('=') || value.contains(|c: char| c.is_ascii_digit())));
    is_base64.then_some(start..end)
}
