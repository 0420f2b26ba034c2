//! Why a key cannot be taken.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;

use super::KeyId;

/// Why [`ApiKeys`](crate::ApiKeys) cannot take a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyError(Why);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Full(NonZeroUsize),
    Taken(KeyId),
}

/// Why a key cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiKeyErrorKind {
    /// There are as many keys as there may be.
    Full,
    /// There is a key of that id.
    Taken,
}

impl ApiKeyError {
    pub(super) fn full(most: NonZeroUsize) -> Self {
        Self(Why::Full(most))
    }

    pub(super) fn taken(id: &KeyId) -> Self {
        Self(Why::Taken(id.clone()))
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> ApiKeyErrorKind {
        match self.0 {
            Why::Full(_) => ApiKeyErrorKind::Full,
            Why::Taken(_) => ApiKeyErrorKind::Taken,
        }
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0613"
    }
}

impl fmt::Display for ApiKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        match &self.0 {
            Why::Full(most) => write!(
                f,
                "`ApiKeys` has no room for another key: it holds {most}, which is the most; call `ApiKeys::revoke` for what nobody uses, or make room \
                 for more with `ApiKeys::new`"
            ),
            Why::Taken(id) => write!(
                f,
                "there is an api key of the id `{id}` already, which is never replaced; call `ApiKeys::revoke` first, or generate \
                 another"
            ),
        }
    }
}

impl Error for ApiKeyError {}
