//! Who is asking, and may they: tokens, principals and policy.
//!
//! ```text
//!   what somebody shows             who they are              what they may do
//!   Credentials ─▶ Authenticator ─▶ Principal ──────────────▶ PolicyEngine ─▶ Decision
//!                   │ JwtAuthenticator ◀─ StaticKeys, Jwks      │ Rbac, Scopes, Regions, CedarPolicy
//!                   │ ApiKeys                                   │
//!        Authenticate, an admission:                 Authorize, a layer:
//!        once for each run, before it starts         once for each stage that requires something
//! ```
//!
//! ```
//! use std::num::NonZeroUsize;
//! use stageflow_auth::{ApiKey, ApiKeys, Authenticate, Principal};
//! use stageflow_context::{OrgId, SystemIds};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ids = SystemIds::new();
//! let keys = ApiKeys::new(const { NonZeroUsize::new(1000).unwrap() });
//! let key = ApiKey::generate(&ids);
//! keys.add(key.seal(Principal::new("nightly-import", OrgId::generate(&ids)).with_scope("kb:write")))?;
//!
//! let door = Authenticate::with(keys); // for `EngineBuilder::admit`
//! let who = door.authenticate(&key.credentials()).await?;
//! assert!(who.has_scope("kb:write"));
//! # Ok(()) }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | let in nobody who is not proved | [`Authenticate`] |
//! | know people by signed tokens | `JwtAuthenticator` with `JwtRules`, with the feature `jwt` |
//! | have the keys for them in the program | `StaticKeys`, with the feature `jwt` |
//! | have the keys from an identity provider | `Jwks`, with the feature `oidc` |
//! | know programs by keys | [`ApiKeys`], [`ApiKey`] |
//! | have several kinds of credentials at one door | [`Methods`] |
//! | prove it in a way of your own | [`Authenticator`] |
//! | let somebody in while it cannot be found out who they are | [`Lenience`] |
//! | know in a stage who asks | `cx.attached::<Principal>()`: [`Principal`] |
//! | decide who may run a stage that requires something | [`Authorize`] |
//! | say what roles permit | [`Rbac`] |
//! | go by the scopes of tokens, orgs, regions | [`Scopes`], [`OrgOnly`], [`Regions`] |
//! | write policies in Cedar | `CedarPolicy`, with the feature `cedar` |
//! | decide in a way of your own | [`PolicyEngine`], [`all_of`], [`any_of`] |
//!
//! # Invariants
//!
//! * There is no default that accepts anything: neither layer nor admission can be made without who decides.
//! * A [`Principal`] always has an org. A run belongs to the principal's org and user, whatever it said of itself.
//! * A token has no say in how it is checked: the algorithm is the key's, and none with a shared secret can be named.
//! * What cannot be found out is no denial, and no way in unless somebody has said so; then it is told.
//! * Everybody who was let in or not, and every decision, is one event that is never lost for lack of room.
//! * Credentials are in no event, no error, no log line and no `Debug`. Of API keys only a hash is kept.
//!
//! # Errors
//!
//! [`AuthError`] (`SF0601` to `SF0611`) says why it is not proved who asks, `KeyError` (`SF0612`) why there are no keys to hold
//! tokens against, [`ApiKeyError`] (`SF0613`) why a key cannot be taken; [`AccessError`] (`SF0621` to `SF0625`, `SF0634`, `SF0640`) why somebody may
//! not do something, [`RbacError`] (`SF0626` to `SF0630`) and `CedarError` (`SF0631` to `SF0633`) what is wrong with policies.
//! Whoever asked reads none of them, but [`Refusal::public`](stageflow_interceptors::Refusal::public).
//!
//! # Feature flags
//!
//! * `jwt`: `JwtAuthenticator`, `StaticKeys`, `Jwks` over a `JwksFetch` of your own. * `oidc`: `HttpFetch`, `Jwks::at`,
//!   `Jwks::discover`; with it `jwt`. * `cedar`: `CedarPolicy`.
//!
//! None is on by default.
//!
//! # Where it sits
//!
//! Above `stageflow-interceptors`, beside the engine, which sees it only as an admission and a layer. It knows neither tenants,
//! quotas nor stores.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod api_keys;
mod authenticate;
mod authenticator;
mod authorize;
#[cfg(feature = "cedar")]
mod cedar;
mod claimed;
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
    Access, AccessError, AccessErrorKind, Authorize, ForStages, Ruling, WhenLapsed, WhenUndecided,
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
