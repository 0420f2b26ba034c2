//! The keys that tokens are held against.

mod attempt;
mod error;
#[cfg(feature = "oidc")]
mod http;
mod jwks;
mod set;
mod static_keys;
mod verifying;

pub use error::{KeyError, KeyErrorKind};
#[cfg(feature = "oidc")]
pub use http::HttpFetch;
pub use jwks::{Jwks, JwksFetch};
pub use static_keys::StaticKeys;
pub use verifying::VerifyingKey;

use std::sync::Arc;

use async_trait::async_trait;

use crate::AuthError;

/// Where the keys come from that tokens are held against.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The key that tokens call `kid`; for a token that names none, the only key there is. `None` if it is certain that there is
    /// no such key.
    ///
    /// # Errors
    ///
    /// [`AuthError`] with the kind [`Undecided`](crate::AuthErrorKind::Undecided) if it cannot be found out.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any point.
    async fn key(&self, kid: Option<&str>) -> Result<Option<Arc<VerifyingKey>>, AuthError>;
}

#[async_trait]
impl<K: KeySource + ?Sized> KeySource for Arc<K> {
    async fn key(&self, kid: Option<&str>) -> Result<Option<Arc<VerifyingKey>>, AuthError> {
        (**self).key(kid).await
    }
}
