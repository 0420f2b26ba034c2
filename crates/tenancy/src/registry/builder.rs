//! A registry before it is one.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stageflow_context::OrgId;

use super::Tenants;
use crate::{TenantsError, TenantsErrorKind, Tier};

/// What becomes of orgs that are not in the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// Their runs are refused.
    #[default]
    Refuse,
    /// Each of them is a tenant of this tier, and is forgotten when room is needed and nothing is lost with it.
    Tier(Arc<str>),
}

/// Says who the tenants are. Made by [`Tenants::builder`].
#[derive(Debug)]
#[must_use]
pub struct TenantsBuilder {
    tiers: Vec<Tier>,
    tenants: Vec<(OrgId, Arc<str>, Option<Arc<str>>)>,
    pub(super) unknown: Unknown,
    pub(super) at_a_time: NonZeroUsize,
    pub(super) most: NonZeroUsize,
}

impl TenantsBuilder {
    pub(super) fn new() -> Self {
        Self {
            tiers: Vec::new(),
            tenants: Vec::new(),
            unknown: Unknown::Refuse,
            at_a_time: const { NonZeroUsize::new(1024).unwrap() },
            most: const { NonZeroUsize::new(100_000).unwrap() },
        }
    }

    /// There is this tier.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tiers.push(tier);
        self
    }

    /// This org is a tenant of this tier.
    pub fn tenant(mut self, org: OrgId, tier: impl Into<Arc<str>>) -> Self {
        self.tenants.push((org, tier.into(), None));
        self
    }

    /// The same, and its data stays in this region. What that means is up to whoever asks for it, such as a policy; here it is only
    /// written down.
    pub fn tenant_in(
        mut self,
        org: OrgId,
        tier: impl Into<Arc<str>>,
        region: impl Into<Arc<str>>,
    ) -> Self {
        self.tenants.push((org, tier.into(), Some(region.into())));
        self
    }

    /// What becomes of orgs that are not named here: they are refused if nothing is said.
    pub fn unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// So many runs at a time, over all tenants; 1024 if nothing is said. When it is reached, tenants have turns in proportion to the
    /// weights of their tiers.
    pub fn runs_at_a_time(mut self, most: NonZeroUsize) -> Self {
        self.at_a_time = most;
        self
    }

    /// Remembers so many tenants, those in the registry and those that nobody knows; 100 000 if nothing is said.
    pub fn most(mut self, most: NonZeroUsize) -> Self {
        self.most = most;
        self
    }

    /// The registry.
    ///
    /// # Errors
    ///
    /// [`TenantsError`] if a tier or a tenant was named twice, a tier that was named is not there, or there are more tenants than may
    /// be remembered.
    pub fn build(mut self) -> Result<Tenants, TenantsError> {
        let mut tiers = FxHashMap::default();
        for tier in self.tiers.drain(..) {
            let name = Arc::clone(tier.shared_name());
            if tiers.insert(Arc::clone(&name), tier).is_some() {
                let what = format!("tier `{name}`");
                return Err(TenantsError::new(TenantsErrorKind::Duplicate, what));
            }
        }
        if let Unknown::Tier(name) = &self.unknown {
            known(&tiers, name)?;
        }
        let tenants = std::mem::take(&mut self.tenants);
        let registry = Tenants::of(self, tiers);
        for (org, tier, region) in tenants {
            registry.register(org, &tier, region)?;
        }
        Ok(registry)
    }
}

/// The tier of this name.
pub(super) fn known<'t>(
    tiers: &'t FxHashMap<Arc<str>, Tier>,
    name: &str,
) -> Result<&'t Tier, TenantsError> {
    let unknown = || TenantsError::new(TenantsErrorKind::Unknown, format!("tier `{name}`"));
    tiers.get(name).ok_or_else(unknown)
}
