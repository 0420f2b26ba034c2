//! A registry cannot be as it was asked for.

use std::error::Error;
use std::fmt;

/// A registry cannot be as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantsError {
    kind: TenantsErrorKind,
    what: String,
}

/// Why a registry cannot be as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TenantsErrorKind {
    /// A tier or a tenant is there already.
    Duplicate,
    /// It remembers as many tenants as it may.
    Full,
    /// There is no tier of this name, or no such tenant.
    Unknown,
}

impl TenantsError {
    pub(crate) fn new(kind: TenantsErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> TenantsErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            TenantsErrorKind::Duplicate => "SF0660",
            TenantsErrorKind::Full => "SF0661",
            TenantsErrorKind::Unknown => "SF0662",
        }
    }
}

impl fmt::Display for TenantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, what) = (self.code(), &self.what);
        match self.kind {
            TenantsErrorKind::Duplicate => write!(
                f,
                "{code}: {what} is in the registry already, and cannot be named twice; name it once, or change it with `move_to_tier`"
            ),
            TenantsErrorKind::Full => write!(
                f,
                "{code}: there is no room for {what}; let the registry remember more with `TenantsBuilder::most`"
            ),
            TenantsErrorKind::Unknown => write!(
                f,
                "{code}: {what} is not in the registry; look for a typing error, or add it first"
            ),
        }
    }
}

impl Error for TenantsError {}
