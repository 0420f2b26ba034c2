//! What somebody shows to prove who they are.

use crate::Redacted;

/// What somebody shows to prove who they are. Nobody has looked at it yet, and it is never written down.
///
/// ```
/// use stageflow_context::Credentials;
///
/// let shown = Credentials::bearer("eyJhbGciOi...");
/// assert_eq!(format!("{shown:?}"), "Bearer([redacted])");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// A key that a program was given.
    ApiKey(Redacted<String>),
    /// A token, as in `Authorization: Bearer`, without that word.
    Bearer(Redacted<String>),
}

impl Credentials {
    /// A key that a program was given.
    pub fn api_key(key: impl Into<String>) -> Self {
        Self::ApiKey(Redacted::new(key.into()))
    }

    /// A token, as in `Authorization: Bearer`, without that word.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::Bearer(Redacted::new(token.into()))
    }
}
