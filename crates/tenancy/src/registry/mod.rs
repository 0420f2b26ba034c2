//! Who the tenants are.

mod builder;
mod guests;
mod member;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::{DashMap, Entry};
use rustc_hash::{FxBuildHasher, FxHashMap};
use stageflow_context::{Budget, OrgId};
use tokio::time::Instant;

pub use builder::{TenantsBuilder, Unknown};
pub(crate) use member::{Member, Plan, Reason};

use crate::admission::TenantAdmission;
use crate::fair::Gate;
use crate::meter::MeteredSink;
use crate::stages::TenantStages;
use crate::{
    EventUsage, Strangers, Tenant, TenantError, TenantErrorKind, TenantScope, TenantStanding,
    TenantUsage, TenantsError, TenantsErrorKind, Tier,
};
use builder::known;

/// Who the tenants are, how much each of them may have, and how much they have used. A clone is the same registry.
///
/// ```
/// use std::num::{NonZeroU16, NonZeroUsize};
/// use stageflow_context::{OrgId, SystemIds};
/// use stageflow_tenancy::{Quota, Tenants, Tier};
///
/// const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// const THREE: NonZeroU16 = NonZeroU16::new(3).unwrap();
///
/// let acme = OrgId::generate(&SystemIds::new());
/// let tenants = Tenants::builder()
///     .tier(Tier::new("free").quota(Quota::new().runs(TWO)))
///     .tier(Tier::new("pro").weight(THREE))
///     .tenant(acme, "free")
///     .build()?;
///
/// assert_eq!(tenants.enter(acme)?.org(), acme);
/// tenants.move_to_tier(acme, "pro")?;
/// assert_eq!(tenants.tenant(acme).as_ref().map(|acme| acme.tier()), Some("pro"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nothing here is asked by itself: an engine asks [`Tenants::admission`] for each run, goes through [`Tenants::stages`] for each
/// stage, and tells events to what [`Tenants::meter`] has made.
#[derive(Clone)]
pub struct Tenants(pub(crate) Arc<Registry>);

pub(crate) struct Registry {
    tiers: FxHashMap<Arc<str>, Tier>,
    unknown: Unknown,
    members: DashMap<OrgId, Arc<Member>, FxBuildHasher>,
    most: NonZeroUsize,
    /// How many are remembered.
    remembered: AtomicUsize,
    /// When guests were last looked through.
    swept: Mutex<Option<Instant>>,
    /// Where runs wait.
    pub(crate) line: Arc<Gate>,
    /// What those have used that were forgotten.
    forgotten: Mutex<TenantUsage>,
    strangers: [AtomicU64; 3],
    stranger_events: Mutex<EventUsage>,
}

/// Why there is no tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stranger {
    Nobody,
    Unknown,
    NoRoom,
}

impl Tenants {
    /// A registry without tiers and tenants.
    pub fn builder() -> TenantsBuilder {
        TenantsBuilder::new()
    }

    pub(super) fn of(built: TenantsBuilder, tiers: FxHashMap<Arc<str>, Tier>) -> Self {
        Self(Arc::new(Registry {
            tiers,
            unknown: built.unknown,
            members: DashMap::with_hasher(FxBuildHasher),
            most: built.most,
            remembered: AtomicUsize::new(0),
            swept: Mutex::default(),
            line: Arc::new(Gate::new(built.at_a_time)),
            forgotten: Mutex::default(),
            strangers: [const { AtomicU64::new(0) }; 3],
            stranger_events: Mutex::default(),
        }))
    }

    /// This org is a tenant of this tier from now on. One that was let in without being known becomes a member, and keeps what it has
    /// used.
    ///
    /// # Errors
    ///
    /// [`TenantsError`] if it is in the registry already, there is no such tier, or no more tenants can be remembered.
    pub fn add(&self, org: OrgId, tier: &str) -> Result<(), TenantsError> {
        self.register(org, tier, None)
    }

    /// The same, and its data stays in this region.
    ///
    /// # Errors
    ///
    /// As [`Tenants::add`]; and a tenant that was let in without being known has no region, and gets none.
    pub fn add_in(&self, org: OrgId, tier: &str, region: &str) -> Result<(), TenantsError> {
        self.register(org, tier, Some(region.into()))
    }

    /// Holds a tenant to this tier from now on. Its runs go on, and those that wait stay where they are; what it may spend, and
    /// how much in a second, begins anew.
    ///
    /// # Errors
    ///
    /// [`TenantsError`] if there is no such tier or tenant.
    pub fn move_to_tier(&self, org: OrgId, tier: &str) -> Result<(), TenantsError> {
        let tier = known(&self.0.tiers, tier)?;
        self.member_or_error(org)?.move_to(tier, &self.0.line);
        Ok(())
    }

    /// Lets a tenant start nothing from now on. What waits is refused at once; what runs goes on.
    ///
    /// # Errors
    ///
    /// [`TenantsError`] if there is no such tenant.
    pub fn suspend(&self, org: OrgId) -> Result<(), TenantsError> {
        self.member_or_error(org)?.stand(TenantStanding::Suspended);
        self.0.line.expel(org);
        Ok(())
    }

    /// Lets a tenant start runs again.
    ///
    /// # Errors
    ///
    /// [`TenantsError`] if there is no such tenant.
    pub fn resume(&self, org: OrgId) -> Result<(), TenantsError> {
        self.member_or_error(org)?.stand(TenantStanding::Member);
        Ok(())
    }

    /// The tenant, for work outside of a run: the way to what a store keeps of it.
    ///
    /// # Errors
    ///
    /// [`TenantError`] if it is not known, or is suspended.
    pub fn enter(&self, org: OrgId) -> Result<TenantScope, TenantError> {
        let error = |kind| TenantError::of(kind, org);
        match self.0.find(org) {
            Some(member) if member.is_suspended() => Err(error(TenantErrorKind::Suspended)),
            Some(member) => Ok(TenantScope::known(org, None, member.tenant().region)),
            None if self.0.unknown == Unknown::Refuse => Err(error(TenantErrorKind::Unknown)),
            None => Ok(TenantScope::known(org, None, None)),
        }
    }

    /// The tenant as it is known now.
    #[must_use]
    pub fn tenant(&self, org: OrgId) -> Option<Tenant> {
        self.0.find(org).map(|member| member.tenant())
    }

    /// What the tenant's runs spend from: budgets of runs go below it, with [`Budget::child`].
    #[must_use]
    pub fn budget(&self, org: OrgId) -> Option<Budget> {
        let plan = self.0.find(org)?.any_plan();
        plan.window.roll();
        Some(plan.window.level().clone())
    }

    /// What the tenant has used and uses now, if it is known.
    #[must_use]
    pub fn usage(&self, org: OrgId) -> Option<TenantUsage> {
        let member = self.0.find(org)?;
        Some(member.usage(&self.0.line))
    }

    /// The same of all tenants that are known, in no particular order.
    #[must_use]
    pub fn usages(&self) -> Vec<(Tenant, TenantUsage)> {
        let members: Vec<_> = self.0.members.iter().map(|it| Arc::clone(&it)).collect();
        let members = members.iter();
        members
            .map(|member| (member.tenant(), member.usage(&self.0.line)))
            .collect()
    }

    /// What those have used together that were let in without being known, and are remembered no more.
    #[must_use]
    pub fn forgotten(&self) -> TenantUsage {
        self.0.lock_forgotten().clone()
    }

    /// Runs and events that belong to no tenant that is known.
    #[must_use]
    pub fn strangers(&self) -> Strangers {
        let [nobody, unknown, no_room] = &self.0.strangers;
        Strangers {
            nobody: nobody.load(Ordering::SeqCst),
            unknown: unknown.load(Ordering::SeqCst),
            no_room: no_room.load(Ordering::SeqCst),
            events: *self.0.stranger_events(),
        }
    }

    /// Asks this registry whether a run may start, and lets it wait for its turn: for `EngineBuilder::admit`.
    #[must_use]
    pub fn admission(&self) -> TenantAdmission {
        TenantAdmission::new(self.clone())
    }

    /// Lets so many stages of each tenant work at a time: for `EngineBuilder::intercept`.
    #[must_use]
    pub fn stages(&self) -> TenantStages {
        TenantStages::new(self.clone())
    }

    /// Counts the events of each tenant on their way to `sink`, and holds them to its quota.
    #[must_use]
    pub fn meter<S>(&self, sink: S) -> MeteredSink<S> {
        MeteredSink::new(self.clone(), sink)
    }

    pub(super) fn register(
        &self,
        org: OrgId,
        tier: &str,
        region: Option<Arc<str>>,
    ) -> Result<(), TenantsError> {
        let tier = known(&self.0.tiers, tier)?;
        match self.0.members.entry(org) {
            Entry::Occupied(there) if there.get().is_guest() && region.is_none() => {
                there.get().move_to(tier, &self.0.line);
                there.get().stand(TenantStanding::Member);
                Ok(())
            }
            Entry::Occupied(_) => Err(TenantsError::new(
                TenantsErrorKind::Duplicate,
                org.to_string(),
            )),
            Entry::Vacant(free) if self.0.remember() => {
                free.insert(self.0.member(org, tier, region, TenantStanding::Member));
                Ok(())
            }
            Entry::Vacant(_) => Err(TenantsError::new(TenantsErrorKind::Full, org.to_string())),
        }
    }

    fn member_or_error(&self, org: OrgId) -> Result<Arc<Member>, TenantsError> {
        let unknown = || TenantsError::new(TenantsErrorKind::Unknown, org.to_string());
        self.0.find(org).ok_or_else(unknown)
    }
}

impl Registry {
    /// The tenant, if it is known.
    pub(crate) fn find(&self, org: OrgId) -> Option<Arc<Member>> {
        self.members.get(&org).map(|member| Arc::clone(&member))
    }

    /// How many may be remembered.
    pub(crate) fn most(&self) -> usize {
        self.most.get()
    }

    pub(crate) fn count_stranger(&self, stranger: Stranger) {
        if let Some(count) = self.strangers.get(stranger as usize) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn stranger_events(&self) -> MutexGuard<'_, EventUsage> {
        self.stranger_events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a member, and a lane for it in the line.
    fn member(
        &self,
        org: OrgId,
        tier: &Tier,
        region: Option<Arc<str>>,
        standing: TenantStanding,
    ) -> Arc<Member> {
        let member = Member::new(org, tier, region, standing);
        self.line.rule(org, member.any_plan().runs());
        Arc::new(member)
    }

    fn lock_forgotten(&self) -> MutexGuard<'_, TenantUsage> {
        self.forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants")
            .field("tiers", &self.0.tiers.keys())
            .field("unknown", &self.0.unknown)
            .field("remembered", &self.0.remembered)
            .finish_non_exhaustive()
    }
}
