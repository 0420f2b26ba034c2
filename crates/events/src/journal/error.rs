//! Why a journal cannot be opened.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::lock::LockError;

/// A journal that cannot be opened.
#[derive(Debug)]
pub struct JournalError {
    kind: JournalErrorKind,
    at: PathBuf,
    source: Option<io::Error>,
}

/// Why a journal cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// The last file does not begin as one of a journal does, or its end says nothing that one could go on from.
    Foreign,
    /// Another journal is in the folder, in this process or another one.
    InUse,
    /// The operating system said no: a full disk, a missing permission.
    Io,
}

impl JournalError {
    pub(super) fn new(kind: JournalErrorKind, at: &Path) -> Self {
        Self {
            kind,
            at: at.to_owned(),
            source: None,
        }
    }

    pub(super) fn io(at: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            source: Some(source),
            ..Self::new(JournalErrorKind::Io, at)
        }
    }

    pub(super) fn lock(at: &Path) -> impl FnOnce(LockError) -> Self {
        move |error| match error {
            LockError::Held => Self::new(JournalErrorKind::InUse, at),
            LockError::Io(source) => Self::io(at)(source),
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> JournalErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            JournalErrorKind::InUse | JournalErrorKind::Io => "SF0506",
            JournalErrorKind::Foreign => "SF0507",
        }
    }

    /// The folder or the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: journal `{}` ", self.code(), self.at.display())?;
        match self.kind {
            JournalErrorKind::Foreign => f.write_str(
                "is not one that can be gone on with: its lines are not those of a journal, or were altered; \
                 look at it with `journal::verify`, and move it away to begin a new one",
            ),
            JournalErrorKind::InUse => f.write_str(
                "is written by somebody else; give each journal a folder of its own",
            ),
            JournalErrorKind::Io => {
                f.write_str("cannot be opened")?;
                if let Some(source) = &self.source {
                    write!(f, ": {source}")?;
                }
                f.write_str("; look at the disk's free room and at the folder's permissions")
            }
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
