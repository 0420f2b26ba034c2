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
        write!(f, "{}: {}", self.code(), self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        f.write_str(": ")?;
        write_kind(self.kind, f)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        let Verified { records, head, .. } = *self.verified;
        write!(
            f,
            "; {records} records before it hold, up to number {}",
            head.n()
        )?;
        f.write_str(match self.kind {
            ChainErrorKind::Torn => "; open the journal again, which puts the end aside",
            ChainErrorKind::Io => "; look at the path and its permissions",
            ChainErrorKind::HeadDeleted { .. } => "; compare with a head that is younger",
            _ => "; take what follows from a copy, and find out who can write there",
        })
    }
}

fn write_kind(kind: ChainErrorKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        ChainErrorKind::Altered => f.write_str("this line was altered"),
        ChainErrorKind::BadHeader => f.write_str("no file of a journal begins like this"),
        ChainErrorKind::Forked { n } => {
            write!(f, "number {n} is another one than was asked for")
        }
        ChainErrorKind::HeadDeleted { first } => write!(
            f,
            "what was asked for was deleted by the journal itself, whose first number is {first}"
        ),
        ChainErrorKind::Io => f.write_str("the file cannot be read"),
        ChainErrorKind::Missing { from, to } if from == to => {
            write!(f, "number {from} is missing before this line")
        }
        ChainErrorKind::Missing { from, to } => {
            write!(f, "numbers {from} to {to} are missing before this line")
        }
        ChainErrorKind::Miscounted { expected, found } => write!(
            f,
            "there are {found} records before this line and should be {expected}, though none of them is chained"
        ),
        ChainErrorKind::Reordered { expected, found } => {
            write!(f, "number {found} stands where {expected} belongs")
        }
        ChainErrorKind::Shortened { expected, found } => {
            write!(
                f,
                "the journal ends at number {found}, and went on to {expected}"
            )
        }
        ChainErrorKind::Torn => f.write_str("the file ends in the middle of this line"),
        ChainErrorKind::Unlinked => f.write_str(
            "this line does not go on from the one before it: one of them was written anew",
        ),
    }
}

impl std::error::Error for ChainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
