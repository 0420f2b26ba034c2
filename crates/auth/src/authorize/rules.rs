//! How a question becomes a ruling.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{OrgId, RunHost};
use stageflow_interceptors::panic_message;

use super::error::AccessErrorKind;
use super::lapsed::Lapse;
use super::owned::Owned;
use super::ruling::Ruling;
use super::{NAME, WhenLapsed, WhenUndecided};
use crate::{Decision, PolicyEngine, Principal, Resource, Verdict};

/// What a layer knows, and shares with stages.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) policy: Arc<dyn PolicyEngine>,
    pub(super) when_undecided: WhenUndecided,
    pub(super) orgs: Orgs,
    /// Where the stages are that it is around.
    pub(super) region: Option<Cow<'static, str>>,
    pub(super) lapse: Lapse,
}

/// What is done about things of other orgs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orgs {
    /// They are denied, whatever the policy would say.
    Apart,
    /// The policy decides.
    LeftToPolicy,
}

impl Rules {
    /// Whether somebody may do something.
    pub(super) fn rule(&self, who: &Principal, action: &str, resource: Resource) -> Ruling {
        let over = self.lapse.of(who);
        let ruling = match (over, self.lapse.then) {
            (Some(over), WhenLapsed::Deny) => return lapsed(who, over, action, resource),
            _ => self.within_org(who, action, resource),
        };
        Ruling {
            lapsed: over.is_some(),
            ..ruling
        }
    }

    /// What the policy says, unless it is another org's.
    fn within_org(&self, who: &Principal, action: &str, resource: Resource) -> Ruling {
        let objection = match self.orgs {
            Orgs::Apart => Owned::by(&resource, who).objection(),
            Orgs::LeftToPolicy => None,
        };
        match objection {
            None => self.ask(who, action, resource),
            Some(reason) => Ruling {
                who: Some(who.clone()),
                action: action.into(),
                resource,
                decision: Decision::deny(reason).by(NAME),
                objection: Some(AccessErrorKind::ForeignResource),
                lapsed: false,
            },
        }
    }

    /// What the policy says.
    fn ask(&self, who: &Principal, action: &str, resource: Resource) -> Ruling {
        let asked = AssertUnwindSafe(|| self.policy.decide(who, action, &resource));
        let (decision, panicked) = match catch_unwind(asked) {
            Ok(decision) => (decision, false),
            Err(payload) => {
                let message = panic_message(payload);
                (
                    Decision::undecided(format!("the policy panicked: {message}")),
                    true,
                )
            }
        };
        let decision = decision.by_default(self.policy.name());
        let objection = match (decision.verdict(), self.when_undecided) {
            (Verdict::Allowed, _) => None,
            // What is said about doubt is not said about defects.
            (Verdict::Undecided, WhenUndecided::Allow) if !panicked => None,
            (Verdict::Undecided, _) => Some(AccessErrorKind::Undecided),
            (Verdict::Denied, _) => Some(AccessErrorKind::Denied),
        };
        Ruling {
            who: Some(who.clone()),
            action: action.into(),
            resource,
            decision,
            objection,
            lapsed: false,
        }
    }

    /// Whether whoever a run is for may do something.
    pub(super) fn rule_in(&self, host: &dyn RunHost, action: &str, resource: Resource) -> Ruling {
        match who(host) {
            Ok(who) => self.rule(&who, action, resource),
            Err(stranger) => stranger.refused(action, resource),
        }
    }
}

/// Their time has been over for so long.
fn lapsed(who: &Principal, over: Duration, action: &str, resource: Resource) -> Ruling {
    let over = Duration::from_secs(over.as_secs());
    let reason = format!("they were proved for a time that was over {over:?} ago");
    Ruling {
        who: Some(who.clone()),
        action: action.into(),
        resource,
        decision: Decision::deny(reason).by(NAME),
        objection: Some(AccessErrorKind::Lapsed),
        lapsed: true,
    }
}

/// Nobody a policy could be asked about.
pub(super) enum Stranger {
    Nobody,
    /// Of another org than the run.
    Other(Arc<Principal>, Option<OrgId>),
}

/// Who a run is for, as it was proved.
pub(super) fn who(host: &dyn RunHost) -> Result<Arc<Principal>, Stranger> {
    let who = host.attached().and_then(|attached| attached.get());
    let who: Arc<Principal> = who.ok_or(Stranger::Nobody)?;
    match host.identity().org_id() {
        Some(org) if org == who.org() => Ok(who),
        org => Err(Stranger::Other(who, org)),
    }
}

impl Stranger {
    pub(super) fn refused(self, action: &str, resource: Resource) -> Ruling {
        let (who, reason, objection) = match self {
            Self::Nobody => (
                None,
                "it is not known who asks".to_owned(),
                AccessErrorKind::Nobody,
            ),
            Self::Other(who, org) => {
                let reason = match org {
                    Some(org) => format!("the run is for {org}"),
                    None => "the run is for no org".to_owned(),
                };
                (Some((*who).clone()), reason, AccessErrorKind::OtherOrg)
            }
        };
        Ruling {
            who,
            action: action.into(),
            resource,
            decision: Decision::deny(reason).by(NAME),
            objection: Some(objection),
            lapsed: false,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("policy", &self.policy.name())
            .field("when_undecided", &self.when_undecided)
            .field("orgs", &self.orgs)
            .field("region", &self.region)
            .field("when_lapsed", &self.lapse)
            .finish()
    }
}
