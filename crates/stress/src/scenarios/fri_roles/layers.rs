//! Who is let in, and the ways in which deciding is done badly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use stageflow::auth::{Authorize, Decision, PolicyEngine, Principal, Rbac, Resource};
use stageflow::interceptors::{Admission, Claim, Pass, Phase, Refusal, RefusalKind};
use stageflow::prelude::*;
use stageflow_testkit::door;

/// Lets in whom the run was given, into their own org.
pub(super) fn known() -> impl Admission {
    door(|arrival| {
        let Some(who) = arrival.attached().get::<Principal>() else {
            return Err(Refusal::new(RefusalKind::Unauthenticated, "it is nobody"));
        };
        arrival.belongs_to(who.org(), who.user());
        Ok(Pass::free())
    })
}

/// Roles, and what no role permits is allowed unless it is something with `secret`.
pub(super) struct OpenHanded(pub(super) Rbac);

impl PolicyEngine for OpenHanded {
    fn name(&self) -> &str {
        "open-handed"
    }

    fn decide(&self, who: &Principal, action: &str, what: &Resource) -> Decision {
        match self.0.decide(who, action, what) {
            decision if decision.is_allowed() || action.starts_with("secret:") => decision,
            _ => Decision::allow("nobody says no"),
        }
    }
}

/// Keeps what was decided about an action, for whomever it was.
pub(super) struct Remembers<P> {
    policy: P,
    known: Mutex<HashMap<String, Decision>>,
}

impl<P> Remembers<P> {
    pub(super) fn new(policy: P) -> Self {
        let known = Mutex::default();
        Self { policy, known }
    }
}

impl<P: PolicyEngine> PolicyEngine for Remembers<P> {
    fn name(&self) -> &str {
        "remembers"
    }

    fn decide(&self, who: &Principal, action: &str, what: &Resource) -> Decision {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let decide = || self.policy.decide(who, action, what);
        let key = format!("{action} {what}");
        known.entry(key).or_insert_with(decide).clone()
    }
}

/// Says that it decides, and lets everybody through.
pub(super) struct Pretends;

impl Hook for Pretends {
    fn name(&self) -> &str {
        "pretends"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn claim(&self) -> Claim {
        Claim::Decides
    }
}

/// The layer that decides, closest to the stage.
pub(super) struct Inside(pub(super) Authorize);

impl Hook for Inside {
    fn name(&self) -> &str {
        "inside"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        self.0.enter(call)
    }
}
