//! Who is asking, and may they: tokens, principals and policy.

mod any_of;
mod api_keys;
mod authenticate;
mod authenticator;
mod error;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod keys;
mod principal;
mod when_undecided;

pub use any_of::AnyOf;
pub use api_keys::{ApiKey, ApiKeyError, ApiKeyErrorKind, ApiKeys, KeyId, SealedKey};
pub use async_trait::async_trait;
pub use authenticate::Authenticate;
pub use authenticator::Authenticator;
pub use error::{AuthError, AuthErrorKind};
#[cfg(feature = "jwt")]
pub use jwt::{JwtAuthenticator, JwtRules, TokenAlgorithm};
#[cfg(feature = "oidc")]
pub use keys::HttpFetch;
#[cfg(feature = "jwt")]
pub use keys::{Jwks, JwksFetch, KeyError, KeyErrorKind, KeySource, StaticKeys, VerifyingKey};
pub use principal::Principal;
pub use when_undecided::WhenUndecided;
