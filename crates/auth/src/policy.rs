//! The port to whoever decides who may do what.

use std::sync::Arc;

use crate::{Decision, Principal, Resource};

/// Decides who may do what. It does not wait: what it needs to know it has. What it has no answer to is a
/// [denial](Decision::deny), or [undecided](Decision::undecided) if somebody else might have the answer later.
///
/// ```
/// use stageflow_auth::{Decision, PolicyEngine, Principal, Resource};
///
/// /// Everybody may read.
/// struct Library;
///
/// impl PolicyEngine for Library {
///     fn name(&self) -> &str {
///         "library"
///     }
///
///     fn decide(&self, _: &Principal, action: &str, _: &Resource) -> Decision {
///         match action {
///             "book:read" => Decision::allow("everybody may read"),
///             _ => Decision::deny("books are not for writing in"),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy",
    label = "this cannot decide what somebody may do",
    note = "use `Rbac` or `Scopes`, or implement `PolicyEngine`: `decide` says of a principal, an action and a resource whether it may be"
)]
pub trait PolicyEngine: Send + Sync + 'static {
    /// What it is called in events and errors.
    fn name(&self) -> &str;

    /// Whether `principal` may do `action`, such as `kb:read`, to `resource`.
    fn decide(&self, principal: &Principal, action: &str, resource: &Resource) -> Decision;
}

impl<P: PolicyEngine + ?Sized> PolicyEngine for Arc<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn decide(&self, principal: &Principal, action: &str, resource: &Resource) -> Decision {
        (**self).decide(principal, action, resource)
    }
}
