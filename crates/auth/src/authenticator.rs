//! The port to whoever proves who somebody is.

use async_trait::async_trait;
use stageflow_context::Credentials;

use crate::{AuthError, Principal};

/// Proves who somebody is by what they show.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
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
