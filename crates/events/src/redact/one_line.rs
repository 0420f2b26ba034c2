//! Texts that cannot end the line they are in, nor tell a terminal what to do.

use std::borrow::Cow;

/// The text in one line: control characters, line and paragraph separators, and what changes the direction of writing or
/// takes no room are written as escapes, such as `\n` and `\u{1b}`. Everything else stays, the backslash too: this makes
/// lines safe, it does not make them reversible.
#[must_use]
pub fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
