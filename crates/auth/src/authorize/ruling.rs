//! One question, and what came of it.

use serde_json::json;
use stageflow_context::{AuditArea, AuditNotice};

use super::error::{AccessError, AccessErrorKind};
use super::owned::Owned;
use crate::{Decision, Principal, Resource, Verdict};

/// One question and what came of it: who wanted to do what to what, what the policy decided, and whether they may.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a ruling that nobody looks at allows everything"]
pub struct Ruling {
    pub(super) who: Option<Principal>,
    pub(super) action: Box<str>,
    pub(super) resource: Resource,
    pub(super) decision: Decision,
    /// Why they may not, unless they may.
    pub(super) objection: Option<AccessErrorKind>,
    /// Whether their time was over.
    pub(super) lapsed: bool,
}

impl Ruling {
    /// Whether they may.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.objection.is_none()
    }

    /// Whether the time up to which they were proved was over. They may all the same, unless it was said otherwise: see
    /// [`WhenLapsed`](crate::WhenLapsed).
    #[must_use]
    pub fn is_lapsed(&self) -> bool {
        self.lapsed
    }

    /// What the policy decided. It may be undecided, and they may all the same: see
    /// [`WhenUndecided::Allow`](crate::WhenUndecided::Allow).
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Nothing if they may, and why not otherwise.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if they may not.
    pub fn into_result(self) -> Result<(), AccessError> {
        match self.objection {
            None => Ok(()),
            Some(kind) => Err(AccessError::new(
                kind,
                self.who.as_ref(),
                &self.action,
                self.resource,
                self.decision,
            )),
        }
    }

    /// What must be known of it afterwards: the event `auth.decision`. What is decided in a run is told by itself; whoever
    /// decides outside of runs keeps it where it is to be found.
    #[must_use]
    pub fn notice(&self) -> AuditNotice {
        self.notice_at(None)
    }

    /// The same, at this place in the pipeline.
    pub(super) fn notice_at(&self, path: Option<&str>) -> AuditNotice {
        let Self {
            who,
            action,
            resource,
            decision,
            lapsed,
            ..
        } = self;
        let effect = match self.is_allowed() {
            true => Verdict::Allowed,
            false => Verdict::Denied,
        };
        let payload = json!({
            "subject": who.as_ref().map(Principal::subject),
            "org": who.as_ref().map(|who| who.org().to_string()),
            "action": action,
            "resource": {
                "kind": resource.kind(),
                "id": resource.id(),
                "org": resource.org().map(|org| org.to_string()),
                "owner": who.as_ref().map(|who| Owned::by(resource, who).as_str()),
                "region": resource.region(),
            },
            "decision": decision.verdict().as_str(),
            "effect": effect.as_str(),
            "reason": decision.reason(),
            "policy": decision.policy(),
            "lapsed": lapsed,
            "stage": path,
        });
        AuditNotice::new(AuditArea::Auth, "decision", payload)
    }
}
