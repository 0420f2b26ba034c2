//! The layer that decides who may call a stage.

mod access;
mod error;
mod lapsed;
mod owned;
mod rules;
mod ruling;
mod shared;

pub use access::Access;
pub use error::{AccessError, AccessErrorKind};
pub use lapsed::WhenLapsed;
pub use ruling::Ruling;
pub use shared::ForStages;

use std::borrow::Cow;
use std::sync::Arc;

use stageflow_context::{StageErrorKind, WallClock};
use stageflow_interceptors::{Call, Claim, Flow, Hook, Phase};

use crate::{PolicyEngine, Principal, Resource};
use lapsed::Lapse;
use rules::{Orgs, Rules};

/// What the layer is called in events and errors.
const NAME: &str = "authorize";

/// Lets a stage run only if whoever asks is permitted all that the stage requires. It is outside of all other layers: no cache,
/// no retry and no idempotency store sees a call that is denied.
///
/// Who asks is the [`Principal`] that an admission has attached to the run; without one, or with one of another org than the
/// run's, everything is denied. The resource is the stage: its kind is `stage`, its id is `pipeline/stage`, it belongs to the
/// run's org, and it is in the region that [`Authorize::in_region`] says. What the stage requires is asked in its order, until
/// something is denied; each question is one event `auth.decision`. Of a map each item is a call of its own, and of a loop each
/// round.
///
/// What belongs to another org than whoever asks, or to nobody, is denied before the policy is asked: see
/// [`Authorize::across_orgs`] and [`Resource::shared`]. So it takes no policy to keep orgs apart.
///
/// A denial ends the run as denied, with an [`AccessError`] as the cause. A stage that requires nothing costs nothing.
///
/// ```
/// use stageflow_auth::{Authorize, OrgOnly, Principal, Rbac, Resource, Role, all_of};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let rbac = Rbac::new([Role::new("reader").permits("kb:read")])?;
/// let authorize = Authorize::new(all_of(rbac).and(OrgOnly));
///
/// // The same policy, outside of runs: for an engine it goes to `.intercept(authorize)`.
/// let acme = OrgId::generate(&SystemIds::new());
/// let ada = Principal::new("ada", acme).with_role("reader");
/// let document = Resource::new("document", "17").owned_by(acme);
/// assert!(authorize.rule(&ada, "kb:read", document.clone()).is_allowed());
/// assert!(!authorize.rule(&ada, "kb:write", document).is_allowed());
/// # Ok::<(), stageflow_auth::RbacError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Authorize(Rules);

/// What becomes of a question that the policy cannot answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenUndecided {
    /// They may. The event still says that it was undecided.
    Allow,
    /// They may not.
    #[default]
    Deny,
}

impl Authorize {
    /// Lets this policy decide.
    pub fn new(policy: impl PolicyEngine) -> Self {
        Self(Rules {
            policy: Arc::new(policy),
            when_undecided: WhenUndecided::default(),
            orgs: Orgs::Apart,
            region: None,
            lapse: Lapse::default(),
        })
    }

    /// Says what becomes of questions that the policy cannot answer; otherwise they are denied. A policy that panics denies in
    /// any case.
    #[must_use]
    pub fn when_undecided(self, then: WhenUndecided) -> Self {
        Self(Rules {
            when_undecided: then,
            ..self.0
        })
    }

    /// Lets the policy decide about things of other orgs, too, and about those that nobody owns: for support staff and for
    /// programs that look after all tenants. Otherwise they are denied before any policy is asked, whatever it would say. Events have in
    /// `resource.owner` what was decided about: `own`, `other`, `nobody` or `everybody`.
    ///
    /// ```
    /// use stageflow_auth::{Authorize, Principal, Rbac, Resource, Role};
    /// use stageflow_context::{OrgId, SystemIds};
    ///
    /// let [acme, other] = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
    /// let rbac = || Rbac::new([Role::new("support").permits("kb:read")]);
    /// let sam = Principal::new("sam", acme).with_role("support");
    /// let theirs = Resource::new("document", "17").owned_by(other);
    ///
    /// assert!(!Authorize::new(rbac()?).rule(&sam, "kb:read", theirs.clone()).is_allowed());
    /// assert!(Authorize::new(rbac()?).across_orgs().rule(&sam, "kb:read", theirs).is_allowed());
    /// # Ok::<(), stageflow_auth::RbacError>(())
    /// ```
    #[must_use]
    pub fn across_orgs(self) -> Self {
        Self(Rules {
            orgs: Orgs::LeftToPolicy,
            ..self.0
        })
    }

    /// Says what becomes of what is required after the time of whoever asks is over; otherwise they may do what they might when
    /// the run was let in.
    #[must_use]
    pub fn when_lapsed(self, then: WhenLapsed) -> Self {
        let lapse = Lapse {
            then,
            ..self.0.lapse
        };
        Self(Rules { lapse, ..self.0 })
    }

    /// The same, with this time of day: it says whether the time of whoever asks is over.
    #[must_use]
    pub fn with_clock(self, clock: impl WallClock + 'static) -> Self {
        let clock = Arc::new(clock);
        let lapse = Lapse {
            clock,
            ..self.0.lapse
        };
        Self(Rules { lapse, ..self.0 })
    }

    /// Says in which region the stages run that the layer is around.
    #[must_use]
    pub fn in_region(self, region: impl Into<Cow<'static, str>>) -> Self {
        Self(Rules {
            region: Some(region.into()),
            ..self.0
        })
    }

    /// The admission that lets stages ask the same policy: see [`Access`].
    #[must_use]
    pub fn for_stages(&self) -> ForStages {
        ForStages(self.0.clone())
    }

    /// Whether somebody may do something, outside of runs. Nobody is told: [`Ruling::notice`] is for whoever asks.
    pub fn rule(&self, who: &Principal, action: &str, resource: Resource) -> Ruling {
        self.0.rule(who, action, resource)
    }

    #[cold]
    fn decide(&self, call: &Call<'_>) -> Flow {
        let id = format!("{}/{}", call.plan().name(), call.stage());
        let mut stage = Resource::new("stage", id).owned_by(call.org());
        if let Some(region) = &self.0.region {
            stage = stage.in_region(region.clone());
        }
        let path = match call.part() {
            None => call.stage().to_string(),
            Some(part) => format!("{}{part}", call.stage()),
        };
        let host = &**call.host();
        for action in call.options().demands.permissions() {
            let ruling = self.0.rule_in(host, action, stage.clone());
            let notice = ruling.notice_at(Some(&path));
            host.audit(notice.of_stage(call.index(), call.attempt()));
            if let Err(error) = ruling.into_result() {
                return Flow::Deny(call.error(StageErrorKind::Denied, error));
            }
        }
        Flow::Pass
    }
}

impl Hook for Authorize {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn claim(&self) -> Claim {
        Claim::Decides
    }

    #[inline]
    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if call.options().demands.permissions().is_empty() {
            return Flow::Pass;
        }
        self.decide(call)
    }
}
