//! Why a record was not put aside.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::lock::LockError;

/// A spill that cannot be opened, or a record that it did not take or give.
#[derive(Debug)]
pub struct SpillError {
    kind: SpillErrorKind,
    at: PathBuf,
    source: Option<io::Error>,
}

/// What is wrong with a spill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpillErrorKind {
    /// The record would take it above its bound, in bytes. It takes records again when older ones were delivered.
    Full {
        /// The bound.
        limit: u64,
    },
    /// Another sink uses the folder, in this process or another one.
    InUse,
    /// The operating system said no: a full disk, a missing permission.
    Io,
    /// The record takes more bytes than one file may.
    TooLarge {
        /// How many it takes.
        bytes: u64,
        /// How many one file may.
        limit: u64,
    },
}

impl SpillError {
    pub(super) fn new(kind: SpillErrorKind, at: &Path) -> Self {
        Self {
            kind,
            at: at.to_owned(),
            source: None,
        }
    }

    pub(super) fn io(at: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            source: Some(source),
            ..Self::new(SpillErrorKind::Io, at)
        }
    }

    pub(super) fn lock(at: &Path) -> impl FnOnce(LockError) -> Self {
        move |error| match error {
            LockError::Held => Self::new(SpillErrorKind::InUse, at),
            LockError::Io(source) => Self::io(at)(source),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> SpillErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            SpillErrorKind::InUse | SpillErrorKind::Io => "SF0504",
            SpillErrorKind::Full { .. } | SpillErrorKind::TooLarge { .. } => "SF0505",
        }
    }

    /// The file or the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl fmt::Display for SpillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: spill `{}` ", self.code(), self.at.display())?;
        match self.kind {
            SpillErrorKind::Full { limit } => write!(
                f,
                "has no room for another record within its {limit} bytes; raise `max_bytes`, or look at why nothing is delivered"
            ),
            SpillErrorKind::InUse => {
                f.write_str(
                "cannot be opened: another sink uses its folder; give each sink a folder of its own",
            )
            }
            SpillErrorKind::Io => {
                f.write_str("cannot be read or written")?;
                if let Some(source) = &self.source {
                    write!(f, ": {source}")?;
                }
                f.write_str("; look at the disk's free room and at the folder's permissions")
            }
            SpillErrorKind::TooLarge { bytes, limit } => write!(
                f,
                "takes no record of {bytes} bytes, because one of its files holds {limit}; raise `segment_bytes`, or emit less"
            ),
        }
    }
}

impl std::error::Error for SpillError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
