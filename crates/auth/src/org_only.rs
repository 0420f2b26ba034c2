//! Whose it is.

use crate::{Decision, PolicyEngine, Principal, Resource};

/// Allows everything with what belongs to the principal's own org, and nothing with anything else: another org's is denied, and
/// so is what belongs to nobody. It is meant beside another policy: see [`all_of`](crate::all_of()).
///
/// ```
/// use stageflow_auth::{OrgOnly, PolicyEngine, Principal, Resource};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let [acme, other] = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
/// let ada = Principal::new("ada", acme);
/// let owned_by = |org: Option<OrgId>| Resource::new("document", "17").owned_by(org);
///
/// assert!(OrgOnly.decide(&ada, "kb:read", &owned_by(Some(acme))).is_allowed());
/// assert!(!OrgOnly.decide(&ada, "kb:read", &owned_by(Some(other))).is_allowed());
/// assert!(!OrgOnly.decide(&ada, "kb:read", &owned_by(None)).is_allowed());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "there is nothing to say about it"
)]
pub struct OrgOnly;

impl PolicyEngine for OrgOnly {
    fn name(&self) -> &str {
        "org-only"
    }

    fn decide(&self, principal: &Principal, _: &str, resource: &Resource) -> Decision {
        match resource.org() {
            Some(owner) if owner == principal.org() => Decision::allow("it is their org's"),
            Some(_) => Decision::deny("it is another org's"),
            None => Decision::deny("it is nobody's"),
        }
    }
}
