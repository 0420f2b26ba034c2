//! The port to whoever proves who somebody is.

use async_trait::async_trait;
use stageflow_context::Credentials;

use crate::{AuthError, Principal};

/// Proves who somebody is by what they show.
///
/// ```
/// use stageflow_auth::{AuthError, AuthErrorKind, Authenticator, Principal, async_trait};
/// use stageflow_context::{Credentials, OrgId};
///
/// /// One machine that everybody here knows.
/// struct OneMachine {
///     key: String,
///     org: OrgId,
/// }
///
/// #[async_trait]
/// impl Authenticator for OneMachine {
///     async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
///         match credentials {
///             // A real one compares in constant time, and keeps no key but its hash: see `ApiKeys`.
///             Credentials::ApiKey(key) if *key.expose() == self.key => Ok(Principal::new("machine", self.org)),
///             _ => Err(AuthError::new(AuthErrorKind::Unsigned, "the key is not the machine's; ask for it")),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an authenticator",
    label = "this cannot prove who somebody is",
    note = "use `JwtAuthenticator` or `ApiKeys`, or implement `Authenticator`: `authenticate` takes what is shown and gives a `Principal`"
)]
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Whether it knows what to do with credentials of this kind. [`Methods`](crate::Methods) asks the first one that does.
    fn takes(&self, credentials: &Credentials) -> bool {
        let _ = credentials;
        true
    }

    /// Who shows these credentials.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if it is not proved; with the kind [`Undecided`](crate::AuthErrorKind::Undecided) if it could not be found
    /// out.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any point.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError>;
}

#[async_trait]
impl<A: Authenticator + ?Sized> Authenticator for std::sync::Arc<A> {
    fn takes(&self, credentials: &Credentials) -> bool {
        (**self).takes(credentials)
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        (**self).authenticate(credentials).await
    }
}
