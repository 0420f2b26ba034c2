//! Who is asking, and may they: tokens, principals and policy.

mod api_keys;
mod authenticate;
mod authenticator;
mod authorize;
#[cfg(feature = "cedar")]
mod cedar;
mod combine;
mod decision;
mod error;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod keys;
mod lenience;
mod methods;
mod org_only;
mod policy;
mod principal;
mod rbac;
mod regions;
mod resource;
mod scopes;

pub use api_keys::{ApiKey, ApiKeyError, ApiKeyErrorKind, ApiKeys, KeyId, SealedKey};
pub use async_trait::async_trait;
pub use authenticate::Authenticate;
pub use authenticator::Authenticator;
pub use authorize::{
    Access, AccessError, AccessErrorKind, Authorize, ForStages, Ruling, WhenUndecided,
};
#[cfg(feature = "cedar")]
pub use cedar::{CedarError, CedarErrorKind, CedarPolicy};
pub use combine::{AllOf, AnyOf, all_of, any_of};
pub use decision::{Decision, Verdict};
pub use error::{AuthError, AuthErrorKind};
#[cfg(feature = "jwt")]
pub use jwt::{JwtAuthenticator, JwtRules, TokenAlgorithm};
#[cfg(feature = "oidc")]
pub use keys::HttpFetch;
#[cfg(feature = "jwt")]
pub use keys::{Jwks, JwksFetch, KeyError, KeyErrorKind, KeySource, StaticKeys, VerifyingKey};
pub use lenience::Lenience;
pub use methods::Methods;
pub use org_only::OrgOnly;
pub use policy::PolicyEngine;
pub use principal::Principal;
pub use rbac::{Rbac, RbacError, RbacProblem, Role};
pub use regions::{Regions, Residency};
pub use resource::Resource;
pub use scopes::Scopes;
