//! What ties a line to those before it.
//!
//! A chained line ends with `,"chain":"N.PREV.HASH"}`. `HASH` is the SHA-256 of the text `N.PREV.` followed by the line as it
//! would be without that; `PREV` is the hash of the chained line before, and `N` counts them, from 1.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const MARK: &[u8] = b",\"chain\":\"";
const END: &[u8] = b"\"}";
const DIGITS: usize = 64;

/// A SHA-256 sum. Printed in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands for the line before the first one.
    pub const NONE: Self = Self([0; 32]);

    fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != DIGITS {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

/// Lower case only: one sum, one text.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: [u8; 16] = *b"0123456789abcdef";

        // At once: two sums are written for every line, and a formatter called for each byte costs more than the sum itself.
        let mut text = [0; DIGITS];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            let digits = [byte >> 4, byte & 0xf].map(|digit| HEX[usize::from(digit)]);
            pair.copy_from_slice(&digits);
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// How far a chain has come: the number and the hash of its last line. Whoever keeps it elsewhere can tell later whether
/// everything up to there is still in the journal, as it was: see [`verify_to`](super::verify_to). Printed `17.<hex>`, and
/// parsed from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JournalHead {
    n: u64,
    hash: ChainHash,
}

impl JournalHead {
    /// That of a journal in which nothing was written yet.
    pub const NONE: Self = Self {
        n: 0,
        hash: ChainHash::NONE,
    };

    pub(super) const fn new(n: u64, hash: ChainHash) -> Self {
        Self { n, hash }
    }

    /// How many lines are chained.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The hash of the last one.
    #[must_use]
    pub fn hash(&self) -> ChainHash {
        self.hash
    }

    /// Ends `line`, which is a JSON object and starts at `start` of `bytes`, with the link to this one; gives the new head.
    pub(super) fn seal(self, bytes: &mut Vec<u8>, start: usize) -> Self {
        let n = self.n + 1;
        let line = bytes.get(start..).unwrap_or_default();
        let hash = sum(n, self.hash, [line, b""]);
        bytes.pop();
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(format!("{n}.{}.{hash}", self.hash).as_bytes());
        bytes.extend_from_slice(END);
        Self { n, hash }
    }

    /// The longest that a link can be, in bytes.
    pub(super) const LINK: u64 = 180;
}

impl fmt::Display for JournalHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.n, self.hash)
    }
}

impl FromStr for JournalHead {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (n, hash) = text.split_once('.').ok_or(HeadError(()))?;
        let n = number(n.as_bytes()).ok_or(HeadError(()))?;
        let hash = ChainHash::parse(hash.as_bytes()).ok_or(HeadError(()))?;
        Ok(Self { n, hash })
    }
}

/// A text that is no [`JournalHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: the text is not the head of a journal, which is a number, a dot and 64 hex digits; take it from `Journal::head`",
    self.code()
)]
pub struct HeadError(());

impl HeadError {
    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0509"
    }
}

/// The link at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) n: u64,
    pub(super) prev: ChainHash,
    pub(super) hash: ChainHash,
    /// How long the line is before it.
    body: usize,
}

impl Link {
    /// The link at the end of `line`, if it has one.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        // From the end, so that the rest of the line is not looked through.
        let (text, hash) = last(line.strip_suffix(END)?, DIGITS)?;
        let (text, prev) = last(text.strip_suffix(b".")?, DIGITS)?;
        let text = text.strip_suffix(b".")?;
        let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit());
        let (text, n) = last(text, digits.count())?;
        let body = text.strip_suffix(MARK)?;
        Some(Self {
            n: number(n)?,
            prev: ChainHash::parse(prev)?,
            hash: ChainHash::parse(hash)?,
            body: body.len(),
        })
    }

    /// Whether the hash is that of `line`, which ends with this link.
    pub(super) fn is_sound(&self, line: &[u8]) -> bool {
        let body = line.get(..self.body).unwrap_or_default();
        sum(self.n, self.prev, [body, b"}"]) == self.hash
    }

    pub(super) fn head(&self) -> JournalHead {
        JournalHead::new(self.n, self.hash)
    }

    /// Ends another line, which is a JSON object, with this link.
    pub(super) fn end(&self, line: &mut Vec<u8>) {
        line.pop();
        line.extend_from_slice(MARK);
        line.extend_from_slice(format!("{}.{}.{}", self.n, self.prev, self.hash).as_bytes());
        line.extend_from_slice(END);
    }
}

/// `text` in two: before its last `length` bytes, and those.
fn last(text: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(text.len().checked_sub(length)?)
}

/// As this module writes numbers, and no other way.
fn number(text: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

fn sum(n: u64, prev: ChainHash, line: [&[u8]; 2]) -> ChainHash {
    let mut hasher = Sha256::new();
    hasher.update(format!("{n}.{prev}."));
    for bytes in line {
        hasher.update(bytes);
    }
    ChainHash(hasher.finalize().into())
}
