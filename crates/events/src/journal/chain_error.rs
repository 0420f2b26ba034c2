//! What is wrong with a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Verified;

/// The first place at which a journal is not as it was written.
#[derive(Debug)]
pub struct ChainError {
    kind: ChainErrorKind,
    file: PathBuf,
    line: u64,
    /// Boxed to keep results small.
    verified: Box<Verified>,
    source: Option<io::Error>,
}

/// What is wrong there. Lines have the numbers of their links: the first chained line of a journal is number 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainErrorKind {
    /// The line is not what its hash was made of, or should have a link and has none.
    Altered,
    /// The file does not begin with the line that a journal begins its files with.
    BadHeader,
    /// The line has the number that was asked for, and another hash: this is another history.
    Forked {
        /// The number.
        n: u64,
    },
    /// The journal itself has deleted what was asked for, to keep within its bounds.
    HeadDeleted {
        /// The first number that is still there.
        first: u64,
    },
    /// The file cannot be read.
    Io,
    /// These are missing before the line.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Records that are not chained are missing before the line, or there are too many.
    Miscounted {
        /// How many the journal says that there were.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The line stands where another one belongs, which comes later or was there already.
    Reordered {
        /// The number that belongs there.
        expected: u64,
        /// The one that stands there.
        found: u64,
    },
    /// The journal ends before what was asked for: its end was cut off.
    Shortened {
        /// The number that was asked for.
        expected: u64,
        /// The last one that is there.
        found: u64,
    },
    /// The file ends in the middle of the line: it is being written just now, or a crash cut it short.
    Torn,
    /// The line does not go on from the one before it, though both have the hashes of their texts: one of the two was written
    /// anew.
    Unlinked,
}

impl ChainError {
    pub(super) fn new(kind: ChainErrorKind, file: &Path, line: u64, verified: Verified) -> Self {
        Self {
            kind,
            file: file.to_owned(),
            line,
            verified: Box::new(verified),
            source: None,
        }
    }

    pub(super) fn io(file: &Path, line: u64, verified: Verified, source: io::Error) -> Self {
        Self {
            source: Some(source),
            ..Self::new(ChainErrorKind::Io, file, line, verified)
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ChainErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0508"
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line in it, from 1; 0 if it is about the file.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What stands before that, and is as it was written.
    #[must_use]
    pub fn verified(&self) -> Verified {
        *self.verified
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.file.display(), self.line);
        write!(f, "{}: journal file `{file}` ", self.code())?;
        match self.kind {
            ChainErrorKind::HeadDeleted { .. } | ChainErrorKind::Io => {}
            _ => f.write_str("is not as it was written: ")?,
        }
        write_kind(self.kind, line, f)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        f.write_str(match self.kind {
            ChainErrorKind::Torn => {
                "; wait for whoever writes it, or open the journal again, which puts the end aside"
            }
            ChainErrorKind::Io => "; look at the path and its permissions",
            ChainErrorKind::HeadDeleted { .. } => {
                "; compare with a younger head, or keep more with `max_bytes`"
            }
            _ => "; take what follows from a copy, and find out who can write there",
        })?;
        let Verified { records, head, .. } = *self.verified;
        let n = head.n();
        write!(
            f,
            "; what stands before that holds (numbers up to {n}, records: {records})"
        )
    }
}

fn write_kind(kind: ChainErrorKind, line: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        ChainErrorKind::Altered => write!(f, "line {line} was altered"),
        ChainErrorKind::BadHeader => {
            write!(f, "line {line} is not what a journal begins its files with")
        }
        ChainErrorKind::Forked { n } => {
            write!(
                f,
                "line {line} has number {n} and is another one than was asked for"
            )
        }
        ChainErrorKind::HeadDeleted { first } => write!(
            f,
            "no longer has what was asked for, because the journal has deleted it itself: its first number is {first}"
        ),
        ChainErrorKind::Io => f.write_str("cannot be read"),
        ChainErrorKind::Missing { from, to } if from == to => {
            write!(f, "number {from} is missing before line {line}")
        }
        ChainErrorKind::Missing { from, to } => {
            write!(f, "numbers {from} to {to} are missing before line {line}")
        }
        ChainErrorKind::Miscounted { expected, found } => write!(
            f,
            "up to line {line} there are {found} records and should be {expected}, all numbers being there"
        ),
        ChainErrorKind::Reordered { expected, found } => {
            write!(
                f,
                "line {line} has number {found}, where {expected} belongs"
            )
        }
        ChainErrorKind::Shortened { expected, found } => {
            write!(
                f,
                "it ends at number {found}, and once went on to {expected}"
            )
        }
        ChainErrorKind::Torn => write!(f, "it ends in the middle of line {line}"),
        ChainErrorKind::Unlinked => {
            write!(
                f,
                "line {line} does not go on from the one before it, so one of them was written anew"
            )
        }
    }
}

impl std::error::Error for ChainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
