//! What a token was given out for.

use crate::{Decision, PolicyEngine, Principal, Resource};

/// Allows what the principal has the scope for: `kb:read` needs the scope `kb:read`, letter by letter. There are no wildcards
/// here: a token says what it was given out for.
///
/// ```
/// use stageflow_auth::{PolicyEngine, Principal, Resource, Scopes};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let ada = Principal::new("ada", OrgId::generate(&SystemIds::new())).with_scope("kb:read");
/// let document = Resource::new("document", "17");
/// assert!(Scopes.decide(&ada, "kb:read", &document).is_allowed());
/// assert!(!Scopes.decide(&ada, "kb:write", &document).is_allowed());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "there is nothing to say about it"
)]
pub struct Scopes;

impl PolicyEngine for Scopes {
    fn name(&self) -> &str {
        "scopes"
    }

    fn decide(&self, principal: &Principal, action: &str, _: &Resource) -> Decision {
        if principal.has_scope(action) {
            Decision::allow("they have the scope")
        } else {
            Decision::deny("they do not have the scope")
        }
    }
}
