//! Several kinds of credentials at one door.

use std::fmt;

use async_trait::async_trait;
use stageflow_context::Credentials;

use crate::{AuthError, AuthErrorKind, Authenticator, Principal};

/// Several authenticators at one door: the first that takes this kind of credentials decides, and nobody is asked after it. A
/// key that was refused is not tried as a token.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stageflow_auth::{Methods, ApiKeys};
///
/// # fn tokens() -> impl stageflow_auth::Authenticator { ApiKeys::new(NonZeroUsize::MIN) }
/// let keys = ApiKeys::new(const { NonZeroUsize::new(1000).unwrap() });
/// let door = Methods::of(keys).or(tokens());
/// # let _ = door;
/// ```
pub struct Methods(Vec<Box<dyn Authenticator>>);

impl Methods {
    /// This one so far.
    pub fn of(first: impl Authenticator) -> Self {
        Self(vec![Box::new(first)])
    }

    /// The same, and `next` for credentials that none of those before takes.
    #[must_use]
    pub fn or(mut self, next: impl Authenticator) -> Self {
        self.0.push(Box::new(next));
        self
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Methods({})", self.0.len())
    }
}

#[async_trait]
impl Authenticator for Methods {
    fn takes(&self, credentials: &Credentials) -> bool {
        self.0.iter().any(|one| one.takes(credentials))
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        match self.0.iter().find(|one| one.takes(credentials)) {
            Some(one) => one.authenticate(credentials).await,
            None => Err(AuthError::new(
                AuthErrorKind::Unreadable,
                "`credentials` are of a kind that nothing here takes; add an authenticator for them to `Methods`",
            )),
        }
    }
}
