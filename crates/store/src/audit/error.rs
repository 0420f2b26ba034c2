//! What is wrong with a trail.

use std::error::Error;
use std::fmt;

use super::AuditAnchor;
use crate::StoreError;

/// A trail that is not as it was written, or that cannot be read or written.
#[derive(Clone, Debug)]
pub struct AuditError {
    kind: AuditErrorKind,
    number: u64,
    good: AuditAnchor,
    source: Option<StoreError>,
}

/// What is wrong with a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditErrorKind {
    /// The entry is not what its link was made of.
    Altered,
    /// Rows stand behind the last entry, and nothing says that they are entries: nothing can be appended.
    Behind,
    /// The row that holds the entry says of when or of whom it is, and the entry says otherwise: what is too old, and what is a
    /// user's, is looked for by that.
    Column,
    /// What was asked for was cut off by retention: nothing can be said of it.
    Cut,
    /// What the entry keeps of a person is not what it was written with, or was erased by somebody who has no key.
    Detail,
    /// The entry with the number that was asked for is another one: this is another history.
    Forked,
    /// What says where the trail starts or ends is missing, or was not written by somebody who has the key.
    Head,
    /// Entries are missing before this one.
    Missing,
    /// What the entry keeps of a person is missing, and nothing says that it was erased.
    NoDetail,
    /// The entry stands where another one belongs.
    Reordered,
    /// The end was cut off.
    Shortened,
    /// What leads from where something was told to its entry is missing, or leads elsewhere: an entry could be told twice, or never.
    Source,
    /// The database says no; the error has its code.
    Store,
    /// The entry was written with a key that is not there.
    UnknownKey,
    /// The entry has the right number and does not go on from the one before it.
    Unlinked,
    /// What was exported is no export of a trail, or not a whole one.
    Unreadable,
}

impl AuditError {
    pub(crate) fn new(kind: AuditErrorKind, number: u64, good: AuditAnchor) -> Self {
        Self {
            kind,
            number,
            good,
            source: None,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> AuditErrorKind {
        self.kind
    }

    /// The number of the first entry that does not hold, as far as it is known; otherwise 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The last entry that holds.
    #[must_use]
    pub fn good(&self) -> AuditAnchor {
        self.good
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.source.as_ref().map_or("SF0730", StoreError::code)
    }

    /// What the database said, if that is what is wrong.
    #[must_use]
    pub fn store(&self) -> Option<&StoreError> {
        self.source.as_ref()
    }

    fn what(&self) -> &'static str {
        match self.kind {
            AuditErrorKind::Altered => "is not what its link was made of",
            AuditErrorKind::Behind => "stands behind the last one: somebody has put a row there",
            AuditErrorKind::Column => "is not of the time and the user that its row says",
            AuditErrorKind::Cut => "is the first: what was asked for was cut off by retention",
            AuditErrorKind::Detail => "has other details than it was written with",
            AuditErrorKind::Forked => "is another one than it was",
            AuditErrorKind::Head => {
                "cannot be looked for: what says where the trail starts and ends is missing or was altered"
            }
            AuditErrorKind::Missing => "is missing: another one has its place",
            AuditErrorKind::NoDetail => "has no details, and nothing says that they were erased",
            AuditErrorKind::Reordered => "is not the one that belongs there",
            AuditErrorKind::Shortened => "is missing: the end was cut off",
            AuditErrorKind::Source => "is not what the row of its source leads to",
            AuditErrorKind::Store => "could not be read or written",
            AuditErrorKind::UnknownKey => "was written with a key that is not there",
            AuditErrorKind::Unlinked => "is not linked to the one before it",
            AuditErrorKind::Unreadable => "cannot be read: this is no whole export of a trail",
        }
    }

    fn help(&self) -> &'static str {
        match self.kind {
            AuditErrorKind::UnknownKey => {
                "keep the keys of earlier times with `SealKeys::opening` as long as the trail"
            }
            AuditErrorKind::Behind => {
                "take the rows behind the last entry away, and find out who can write there"
            }
            AuditErrorKind::Cut => "ask for an anchor that is not older than what is kept",
            AuditErrorKind::Unreadable => "keep all its lines, and export it again",
            _ => "take what follows from a copy, and find out who can write there",
        }
    }
}

impl From<StoreError> for AuditError {
    fn from(source: StoreError) -> Self {
        Self {
            source: Some(source),
            ..Self::new(AuditErrorKind::Store, 0, AuditAnchor::NONE)
        }
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            return fmt::Display::fmt(source, f);
        }
        let (code, number, good) = (self.code(), self.number, self.good.number);
        write!(f, "{code}: audit trail, entry {number} {}; ", self.what())?;
        write!(
            f,
            "those up to {good} are as they were written; {}",
            self.help()
        )
    }
}

impl Error for AuditError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
