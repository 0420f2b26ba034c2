//! What a store cannot do.

use std::error::Error;
use std::fmt;

use stageflow_context::BoxError;

/// Why a store of answers could not do what it was asked for.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<BoxError>,
}

/// What is wrong with a store, or with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// All entries are of work that goes on.
    Full {
        /// How many entries there may be.
        most: usize,
    },
    /// It does not answer.
    Unavailable,
    /// What was kept cannot be read.
    Unreadable,
    /// A value of this type cannot be kept.
    Unwritable(&'static str),
}

impl StoreError {
    /// The store has no room: all of its entries are of work that goes on.
    #[must_use]
    pub const fn full(most: usize) -> Self {
        Self {
            kind: StoreErrorKind::Full { most },
            source: None,
        }
    }

    /// The store does not answer.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self {
            kind: StoreErrorKind::Unavailable,
            source: Some(source.into()),
        }
    }

    /// What the store kept cannot be read.
    pub fn unreadable(source: impl Into<BoxError>) -> Self {
        Self {
            kind: StoreErrorKind::Unreadable,
            source: Some(source.into()),
        }
    }

    /// A value of this type cannot be kept.
    pub(super) fn unwritable(type_name: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            kind: StoreErrorKind::Unwritable(type_name),
            source: Some(source.into()),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &StoreErrorKind {
        &self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Unavailable => "SF0701",
            StoreErrorKind::Full { .. } => "SF0702",
            StoreErrorKind::Unwritable(_) => "SF0703",
            StoreErrorKind::Unreadable => "SF0704",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Unavailable => {
                "look after the store, or let work go on without it with `StoreTrouble::Proceed`"
            }
            StoreErrorKind::Full { .. } => {
                "give the store room for more entries, or let fewer runs with a key go on at a time"
            }
            StoreErrorKind::Unwritable(_) => {
                "name the type in `IdempotentWork::codec`, as in `Codec::new().json::<T>()`"
            }
            StoreErrorKind::Unreadable => {
                "let the stage give the type it gave when the answer was kept, and the codec read what it wrote; or rename the pipeline"
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        match self.kind {
            StoreErrorKind::Full { most } => write!(
                f,
                "the idempotency store is full: all of its {most} entries are of work that goes on"
            )?,
            StoreErrorKind::Unavailable => f.write_str("the idempotency store does not answer")?,
            StoreErrorKind::Unreadable => {
                f.write_str("what the idempotency store has kept cannot be read")?;
            }
            StoreErrorKind::Unwritable(type_name) => write!(
                f,
                "the idempotency store cannot keep a value of type `{type_name}`"
            )?,
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        write!(f, "; {}", self.help())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
