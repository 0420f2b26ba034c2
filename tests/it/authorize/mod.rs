//! Who may call which stage, and what is told of it.

mod asking;
mod decisions;
mod lapsed;
mod orgs;
mod parts;
mod random;
mod reuse;
mod table;

use serde_json::Value;
use stageflow::auth::{
    AuthError, AuthErrorKind, Authenticate, Authenticator, Authorize, PolicyEngine, Principal,
    Rbac, Resource, Role,
};
use stageflow::context::{OrgId, SystemIds};
use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use crate::support::Lab;

pub(super) fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

/// Knows nobody by what they show: who runs something was proved before.
struct NoKeys;

#[async_trait]
impl Authenticator for NoKeys {
    async fn authenticate(&self, _: &Credentials) -> Result<Principal, AuthError> {
        Err(AuthError::new(
            AuthErrorKind::Unreadable,
            "nothing is shown here",
        ))
    }
}

pub(super) fn door() -> Authenticate {
    Authenticate::with(NoKeys)
}

/// An engine with this layer, whose stages may ask, too.
pub(super) fn lab(authorize: Authorize) -> Lab {
    Lab::with(|engine| {
        engine
            .admit(door())
            .admit(authorize.for_stages())
            .intercept(authorize)
    })
}

/// `reader` may read, `editor` write too, `curator` everything with `kb`.
pub(super) fn rbac() -> Rbac {
    Rbac::new([
        Role::new("reader").permits("kb:read"),
        Role::new("editor").permits("kb:write").inherits("reader"),
        Role::new("curator").permits("kb:*"),
    ])
    .unwrap()
}

/// Somebody of an org of their own.
pub(super) fn somebody(role: &str) -> Principal {
    Principal::new("ada", org()).with_role(role)
}

/// Runs for this principal.
pub(super) fn as_(who: &Principal) -> RunOptions {
    RunOptions::new().attach(who.clone())
}

/// What was decided, in order.
pub(super) fn decisions(sink: &RecordingSink) -> Vec<Value> {
    let payload = |kind: &EventKind| match kind {
        EventKind::Audit(notice) if &**notice.name() == "auth.decision" => {
            Some(notice.payload().clone())
        }
        _ => None,
    };
    let all = sink.all();
    all.iter()
        .filter_map(|recorded| payload(recorded.event.kind()))
        .collect()
}

/// What was decided, in few words: `search kb:read denied`.
pub(super) fn told(sink: &RecordingSink) -> Vec<String> {
    let word = |decision: &Value, key: &str| decision[key].as_str().unwrap_or("-").to_owned();
    let line = |decision: &Value| {
        let [stage, action, effect] = ["stage", "action", "effect"].map(|key| word(decision, key));
        format!("{stage} {action} {effect}")
    };
    decisions(sink).iter().map(line).collect()
}

/// A policy that is a function.
pub(super) struct By<F>(pub(super) F);

impl<F> PolicyEngine for By<F>
where
    F: Fn(&Principal, &str, &Resource) -> stageflow::auth::Decision + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        "by"
    }

    fn decide(&self, who: &Principal, action: &str, what: &Resource) -> stageflow::auth::Decision {
        (self.0)(who, action, what)
    }
}
