//! Why a user could not be erased.

use std::error::Error;
use std::fmt;

use stageflow_events::journal::JournalError;

use crate::{AuditError, StoreError};

/// A user of whom not everything was erased. What was erased by then stays erased, and the next call goes on.
#[derive(Debug)]
pub struct ErasureError {
    kind: ErasureErrorKind,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Audit(AuditError),
    Journal(JournalError),
    Store(StoreError),
}

/// Why a user could not be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErasureErrorKind {
    /// The audit trail is not as it was left, or cannot be written.
    Audit,
    /// A journal cannot be written anew, such as one that somebody writes to.
    Journal,
    /// Rows about the user come in again and again.
    StillWritten,
    /// The database says no.
    Store,
    /// Work of the user's goes on under an idempotency key: if the hold were erased, others would do the work a second time.
    UnderWay,
}

impl ErasureError {
    pub(super) fn journal(error: JournalError) -> Self {
        Self {
            kind: ErasureErrorKind::Journal,
            source: Some(Source::Journal(error)),
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> ErasureErrorKind {
        self.kind
    }

    /// The stable code of this error, which is that of its cause if it has one; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.source {
            Some(Source::Audit(error)) => error.code(),
            Some(Source::Journal(error)) => error.code(),
            Some(Source::Store(error)) => error.code(),
            None => "SF0733",
        }
    }
}

impl From<ErasureErrorKind> for ErasureError {
    fn from(kind: ErasureErrorKind) -> Self {
        let source = None;
        Self { kind, source }
    }
}

impl From<StoreError> for ErasureError {
    fn from(error: StoreError) -> Self {
        Self {
            kind: ErasureErrorKind::Store,
            source: Some(Source::Store(error)),
        }
    }
}

impl From<AuditError> for ErasureError {
    fn from(error: AuditError) -> Self {
        Self {
            kind: ErasureErrorKind::Audit,
            source: Some(Source::Audit(error)),
        }
    }
}

impl fmt::Display for ErasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(Source::Audit(error)) => fmt::Display::fmt(error, f),
            Some(Source::Journal(error)) => fmt::Display::fmt(error, f),
            Some(Source::Store(error)) => fmt::Display::fmt(error, f),
            None => {
                let why = match self.kind {
                    ErasureErrorKind::UnderWay => "work of theirs goes on under an idempotency key",
                    _ => "rows about them come in again and again",
                };
                write!(
                    f,
                    "{}: the user is not erased: {why}; stop what they have running and keep them out; call again then",
                    self.code()
                )
            }
        }
    }
}

impl Error for ErasureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.source.as_ref()? {
            Source::Audit(error) => Some(error),
            Source::Journal(error) => Some(error),
            Source::Store(error) => Some(error),
        }
    }
}
