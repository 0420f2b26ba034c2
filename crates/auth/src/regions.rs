//! Where it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use stageflow_context::OrgId;

use crate::{Decision, PolicyEngine, Principal, Resource};

/// Where what belongs to a tenant has to stay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Residency {
    /// It may be anywhere.
    Anywhere,
    /// In this region.
    In(Cow<'static, str>),
    /// Nobody knows this tenant, or where it has to stay.
    Unknown,
}

/// Keeps people and data in their regions. It allows everything else, so it is meant beside another policy: see
/// [`all_of`](crate::all_of()).
///
/// A region of the principal, of their tenant, and of the tenant that owns the resource: each, if there is one, must be the
/// region in which the resource is. Who is bound to no region may act anywhere; where somebody is bound, a resource that is
/// nowhere in particular is denied. Regions are compared letter by letter. A tenant that nobody knows is undecided.
///
/// | principal | tenant | resource | |
/// |---|---|---|---|
/// | – | anywhere | any, or – | allowed |
/// | eu | anywhere | eu | allowed |
/// | – | eu | eu | allowed |
/// | eu | eu | eu | allowed |
/// | eu, or their tenant | | us, or – | denied |
/// | us | eu | any, or – | denied |
/// | any, or – | unknown | any, or – | undecided, if nothing denies it |
///
/// ```
/// use stageflow_auth::{PolicyEngine, Principal, Regions, Residency, Resource};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let acme = OrgId::generate(&SystemIds::new());
/// // As a registry of tenants has it.
/// let regions = Regions::new(move |org| match org == acme {
///     true => Residency::In("eu".into()),
///     false => Residency::Unknown,
/// });
/// let ada = Principal::new("ada", acme);
/// let there = |region: &'static str| Resource::new("document", "17").owned_by(acme).in_region(region);
/// assert!(regions.decide(&ada, "kb:read", &there("eu")).is_allowed());
/// assert!(!regions.decide(&ada, "kb:read", &there("us")).is_allowed());
/// ```
#[derive(Clone)]
pub struct Regions(Arc<dyn Fn(OrgId) -> Residency + Send + Sync>);

impl Regions {
    /// Tenants have to stay where `residency` says. It must not wait.
    pub fn new(residency: impl Fn(OrgId) -> Residency + Send + Sync + 'static) -> Self {
        Self(Arc::new(residency))
    }
}

impl PolicyEngine for Regions {
    fn name(&self) -> &str {
        "regions"
    }

    fn decide(&self, principal: &Principal, _: &str, resource: &Resource) -> Decision {
        let place = resource.region();
        if principal.region().is_some_and(|own| place != Some(own)) {
            return Decision::deny("they are bound to another region than it is in");
        }
        let own = principal.org();
        let owner = resource.org().filter(|owner| *owner != own);
        let mut known = true;
        for tenant in [Some(own), owner].into_iter().flatten() {
            match (self.0)(tenant) {
                Residency::Anywhere => {}
                Residency::In(region) if place == Some(&*region) => {}
                Residency::In(_) => {
                    return Decision::deny("the tenant is bound to another region than it is in");
                }
                Residency::Unknown => known = false,
            }
        }
        if known {
            Decision::allow("nobody is bound to another region")
        } else {
            Decision::undecided("nobody knows where the tenant has to stay")
        }
    }
}

impl fmt::Debug for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Regions(..)")
    }
}
