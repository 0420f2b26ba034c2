//! Why something could not be kept or read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use stageflow_context::BoxError;

/// Why something could not be kept or read. It never holds what is kept.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    doing: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Why something could not be kept or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// What is kept is not what was written: it cannot be read.
    Corrupt,
    /// Others may write where it is to be kept.
    Exposed,
    /// What has the name of an org's file is not its file: it is another org's, or no file at all.
    Foreign,
    /// There is no room left.
    Full,
    /// It cannot be kept as it is: a key that is too long, a text that is empty.
    Invalid,
    /// The database is newer than this program.
    Newer,
    /// The database does not let this user do it.
    NotAllowed,
    /// Others were faster, again and again.
    TooBusy,
    /// The database does not answer.
    Unavailable,
}

impl StoreError {
    /// It could not be done: `doing` says what.
    pub fn new(kind: StoreErrorKind, doing: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            source: None,
        }
    }

    /// The same, because of this.
    #[must_use]
    pub fn because(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..self
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Unavailable => "SF0711",
            StoreErrorKind::Full => "SF0712",
            StoreErrorKind::Corrupt => "SF0713",
            StoreErrorKind::Newer => "SF0714",
            StoreErrorKind::Invalid => "SF0715",
            StoreErrorKind::NotAllowed => "SF0716",
            StoreErrorKind::TooBusy => "SF0717",
            StoreErrorKind::Foreign => "SF0718",
            StoreErrorKind::Exposed => "SF0719",
        }
    }

    fn what(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Corrupt => {
                "what is kept cannot be read; look at the disk, and put a copy in its place"
            }
            StoreErrorKind::Exposed => {
                "others may write to the folder; take that right from them (`chmod go-w`), or give the program a folder of its own"
            }
            StoreErrorKind::Foreign => {
                "the file is another org's, or no file at all; put back the one that belongs there, or take it away"
            }
            StoreErrorKind::Full => "there is no room left; make some, or keep less for less long",
            StoreErrorKind::Invalid => {
                "it cannot be kept like this; use keys of 1 to 255 bytes and bodies of up to 8 MiB, neither of them empty or with a byte 0"
            }
            StoreErrorKind::Newer => {
                "the database was written by a newer version; use that version"
            }
            StoreErrorKind::NotAllowed => {
                "the database does not let this user do it; look at the roles of the manual's page"
            }
            StoreErrorKind::TooBusy => "others were faster again and again; try again later",
            StoreErrorKind::Unavailable => {
                "the database does not answer; try again later, and look at whether it runs"
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: store, {}: {}", self.code(), self.doing, self.what())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("doing", &self.doing)
            .field("source", &self.source.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
