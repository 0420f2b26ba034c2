//! The text of a file: bounded, UTF-8, with one kind of line end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads one file again, in full, the way [`super::load`] reads it: the citation guard trusts nothing that was read
/// earlier.
pub(crate) fn read_text(path: &Path, limit: usize) -> Result<Text, Unreadable> {
    let file = File::open(path).map_err(Unreadable::Io)?;
    let mut bytes = Vec::new();
    let over = limit.saturating_add(1);
    file.take(over as u64)
        .read_to_end(&mut bytes)
        .map_err(Unreadable::Io)?;
    let cut = bytes.len() > limit;
    if cut {
        // Whole lines only: half a sentence is no answer, and half a character is no text.
        let end = bytes[..limit]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(limit, |at| at + 1);
        bytes.truncate(end);
    }
    decode(bytes, cut)
}

#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// Whether the file is longer than the limit.
    pub(crate) cut: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("cannot be read ({0})")]
    Io(#[source] io::Error),
    #[error("binary, not text")]
    Binary,
    #[error("not UTF-8 (first bad byte at offset {0}); convert it to read it")]
    Encoding(usize),
}

fn decode(bytes: Vec<u8>, cut: bool) -> Result<Text, Unreadable> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Unreadable::Encoding(0));
    }
    if bytes.contains(&0) {
        return Err(Unreadable::Binary);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // A file that was cut may end inside a character when it has no line end at all.
            let mut bytes = error.into_bytes();
            if !cut || bytes.len() - at >= 4 {
                return Err(Unreadable::Encoding(at));
            }
            bytes.truncate(at);
            String::from_utf8(bytes).map_err(|_| Unreadable::Encoding(at))?
        }
    };
    Ok(Text {
        text: normalise_lines(&text),
        cut,
    })
}

/// Leaves `\n` as the only line end, so that a line number means what `grep -n` and editors mean.
fn normalise_lines(text: &str) -> String {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if !text.contains('\r') {
        return text.to_owned();
    }
    if text.contains('\n') {
        text.replace("\r\n", "\n").replace('\r', " ")
    } else {
        text.replace('\r', "\n")
    }
}
