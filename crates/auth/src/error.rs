//! Why it is not proved who somebody is.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use stageflow_context::{BoxError, OrgId};

use crate::claimed::Claimed;

/// Why it is not proved who somebody is. Its text is for those who run the engine: whoever asked is told less, see
/// [`Refusal::public`](stageflow_interceptors::Refusal::public). It never holds the credentials.
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    detail: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
    claimed: Option<Arc<Claimed>>,
}

/// Why it is not proved who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// It is over.
    Expired,
    /// Nothing was shown.
    Missing,
    /// It says no org, or the nil one.
    NoOrg,
    /// It is for a later time.
    NotYetValid,
    /// It is for somebody else than this engine.
    WrongAudience,
    /// It is of somebody whose word does not count here.
    WrongIssuer,
    /// It is another org than the one that was asked for.
    WrongOrg,
    /// It is longer than anything valid.
    TooLong,
    /// What has to be asked does not answer: it is not known whether it is valid.
    Undecided,
    /// It is not something that is shown here: no token, no key, another kind of credentials.
    Unreadable,
    /// It was not made by who it says: signature, algorithm, key or secret are not right.
    Unsigned,
}

impl AuthErrorKind {
    /// In lower case, as events have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::NoOrg => "no_org",
            Self::NotYetValid => "not_yet_valid",
            Self::TooLong => "too_long",
            Self::Undecided => "undecided",
            Self::Unreadable => "unreadable",
            Self::Unsigned => "unsigned",
            Self::WrongAudience => "wrong_audience",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongOrg => "wrong_org",
        }
    }
}

impl AuthError {
    /// Not proved, for this reason; `detail` says more, and nothing that is secret.
    pub fn new(kind: AuthErrorKind, detail: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
            claimed: None,
        }
    }

    /// Somebody of `proved` asked for a run of `asked`.
    pub(crate) fn wrong_org(proved: OrgId, asked: OrgId) -> Self {
        Self::new(
            AuthErrorKind::WrongOrg,
            format!(
                "the run is for `{asked}`, and who asks is of `{proved}`; leave the org out, or ask with credentials of that org"
            ),
        )
    }

    /// The same, because of this.
    #[must_use]
    pub fn because(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..self
        }
    }

    /// The same, of credentials that say this of themselves.
    #[cfg(feature = "jwt")]
    pub(crate) fn claiming(self, claimed: Claimed) -> Self {
        let claimed = Some(Arc::new(claimed));
        Self { claimed, ..self }
    }

    /// Who made the credentials, as they say themselves: of a token, its `iss`. Nobody has checked it, so it is for those who
    /// look for what went wrong, and for nothing else. At most 64 characters of plain ASCII in one line; `None` if they do not
    /// say, or could not be read.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claimed.as_ref()?.issuer.as_deref()
    }

    /// The id of the key that the credentials name, as they say themselves: of a token, its `kid`. As
    /// [`claimed_issuer`](Self::claimed_issuer).
    #[must_use]
    pub fn claimed_kid(&self) -> Option<&str> {
        self.claimed.as_ref()?.key.as_deref()
    }

    /// Adds what the credentials say of themselves.
    pub(crate) fn add_claimed(&self, told: &mut Value) {
        if let Some(claimed) = &self.claimed {
            claimed.add_to(told);
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            AuthErrorKind::Missing => "SF0601",
            AuthErrorKind::Unreadable => "SF0602",
            AuthErrorKind::TooLong => "SF0603",
            AuthErrorKind::Unsigned => "SF0604",
            AuthErrorKind::Expired => "SF0605",
            AuthErrorKind::NotYetValid => "SF0606",
            AuthErrorKind::WrongIssuer => "SF0607",
            AuthErrorKind::WrongAudience => "SF0608",
            AuthErrorKind::NoOrg => "SF0609",
            AuthErrorKind::WrongOrg => "SF0610",
            AuthErrorKind::Undecided => "SF0611",
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail)
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthError")
            .field("kind", &self.kind)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
