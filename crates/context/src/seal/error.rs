//! Why sealed bytes are not opened.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::BoxError;

/// Sealed bytes that are not opened. It never holds what is in them.
#[derive(Clone)]
pub struct SealError {
    kind: SealErrorKind,
    sealed: String,
    problem: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Why sealed bytes are not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealErrorKind {
    /// They are not what was sealed, or were sealed by somebody else under the same number of a key.
    Altered,
    /// They are as they were sealed, and cannot be read.
    Content,
    /// They are of a newer version than this program reads.
    Newer,
    /// They are no sealed bytes, or were cut off.
    NotSealed,
    /// They are of an older version, and nothing brings it up to this one.
    Older,
    /// They were sealed with a key that is not there.
    UnknownKey,
    /// They were sealed as something else.
    WrongKind,
    /// They are another org's, or nobody's.
    WrongOrg,
    /// They are another run's.
    WrongRun,
}

impl SealError {
    pub(crate) fn new(
        kind: SealErrorKind,
        sealed: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            sealed: sealed.into(),
            problem: problem.into(),
            source: None,
        }
    }

    pub(crate) fn because(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..self
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> SealErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            SealErrorKind::NotSealed => "SF0221",
            SealErrorKind::Altered => "SF0222",
            SealErrorKind::UnknownKey => "SF0223",
            SealErrorKind::WrongKind | SealErrorKind::WrongOrg | SealErrorKind::WrongRun => {
                "SF0224"
            }
            SealErrorKind::Newer | SealErrorKind::Older => "SF0225",
            SealErrorKind::Content => "SF0226",
        }
    }

    fn help(&self) -> &'static str {
        match self.kind {
            SealErrorKind::NotSealed => "pass all the bytes that were sealed, as they were given",
            SealErrorKind::Altered => {
                "take it from a copy, and find out who can write where it was kept"
            }
            SealErrorKind::UnknownKey => {
                "keep the keys of earlier times with `SealKeys::opening` as long as something is sealed with them"
            }
            SealErrorKind::WrongKind | SealErrorKind::WrongOrg | SealErrorKind::WrongRun => {
                "look at how it was found: by an id that came with a request, or at the wrong place"
            }
            SealErrorKind::Newer => "use a version of the program that knows it",
            SealErrorKind::Older => {
                "give each version a way to the next with `Migrations::from_version`"
            }
            SealErrorKind::Content => "look at what wrote it: it was sealed like this",
        }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sealed, problem, ..
        } = self;
        write!(
            f,
            "{}: the sealed {sealed} is not opened: {problem}",
            self.code()
        )?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        write!(f, "; {}", self.help())
    }
}

impl fmt::Debug for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealError")
            .field("kind", &self.kind)
            .field("sealed", &self.sealed)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

impl Error for SealError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
