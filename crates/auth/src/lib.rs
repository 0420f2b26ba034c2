//! Who is asking, and may they: tokens, principals and policy.

mod authenticator;
mod authorize;
#[cfg(feature = "cedar")]
mod cedar;
mod combine;
mod decision;
mod error;
mod org_only;
mod policy;
mod principal;
mod rbac;
mod regions;
mod resource;
mod scopes;

pub use authenticator::Authenticator;
pub use authorize::{
    Access, AccessError, AccessErrorKind, Authorize, ForStages, Ruling, WhenUndecided,
};
#[cfg(feature = "cedar")]
pub use cedar::{CedarError, CedarErrorKind, CedarPolicy};
pub use combine::{AllOf, AnyOf, all_of, any_of};
pub use decision::{Decision, Verdict};
pub use error::{AuthError, AuthErrorKind};
pub use org_only::OrgOnly;
pub use policy::PolicyEngine;
pub use principal::Principal;
pub use rbac::{Rbac, RbacError, RbacProblem, Role};
pub use regions::{Regions, Residency};
pub use resource::Resource;
pub use scopes::Scopes;
