//! Why there are no keys.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use stageflow_context::BoxError;

/// Why there are no keys: they cannot be read, or cannot be had.
#[derive(Clone, Debug)]
pub struct KeyError {
    kind: KeyErrorKind,
    detail: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// What publishes the keys is of somebody else than was asked.
    ForeignIssuer,
    /// They could be changed on the way: neither TLS nor this machine.
    Insecure,
    /// None of the keys is one that signs tokens in a way that counts.
    NoKeys,
    /// There are more keys, or more bytes, than may be.
    TooMuch,
    /// What publishes the keys does not answer, or answers that it has none.
    Unreachable,
    /// It is not keys.
    Unreadable,
}

impl KeyError {
    /// No keys, for this reason: `detail` says what and what to do, and nothing that is secret.
    pub fn new(kind: KeyErrorKind, detail: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
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
    pub fn kind(&self) -> KeyErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0612"
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail)
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
