//! What stages ask by themselves.

use std::sync::Arc;

use stageflow_context::{StageCx, StageError, StageErrorKind, Stop, StopKind};

use super::NAME;
use super::error::AccessErrorKind;
use super::rules::{Rules, who};
use super::ruling::Ruling;
use crate::{Decision, Resource};

/// Lets stages ask whether whoever the run is for may do something, where what it is done to is known at run time only. The
/// engine's layer has to share its policy: see [`Authorize::for_stages`](crate::Authorize::for_stages); if it does not, nobody
/// may do anything.
///
/// Each question is one event `auth.decision`, whatever the answer.
///
/// ```
/// use std::sync::Arc;
/// use stageflow_auth::{Access, Resource};
/// use stageflow_context::{OrgId, StageCx, Stop};
/// # struct Document { owner: OrgId, text: String }
/// # async fn load(_: u64) -> Document { unreachable!() }
///
/// async fn read(cx: StageCx, id: Arc<u64>) -> Result<String, Stop> {
///     let document = load(*id).await;
///     cx.require("kb:read", Resource::new("document", id.to_string()).owned_by(document.owner))?;
///     Ok(document.text)
/// }
/// ```
pub trait Access {
    /// Whether they may do `action` to `resource`.
    fn may(&self, action: &str, resource: Resource) -> bool;

    /// Goes on if they may do `action` to `resource`.
    ///
    /// # Errors
    ///
    /// A [`Stop`] that ends the stage as denied, and the run with it, also if the stage is optional: with an
    /// [`AccessError`](crate::AccessError) as its cause.
    fn require(&self, action: &str, resource: Resource) -> Result<(), Stop>;
}

impl Access for StageCx {
    fn may(&self, action: &str, resource: Resource) -> bool {
        asked(self, action, resource).is_allowed()
    }

    fn require(&self, action: &str, resource: Resource) -> Result<(), Stop> {
        let ruling = asked(self, action, resource);
        ruling.into_result().map_err(|error| {
            let stage = self.stage().clone();
            let error = StageError::new(stage, self.attempt(), StageErrorKind::Denied, error);
            let error = match self.part() {
                None => error,
                Some(part) => error.in_part(Arc::clone(part)),
            };
            StopKind::Ended(error).into()
        })
    }
}

/// Rules, and says so.
fn asked(cx: &StageCx, action: &str, resource: Resource) -> Ruling {
    let host = &**cx.host();
    let ruling = match cx.attached::<Rules>() {
        Some(rules) => rules.rule_in(host, action, resource),
        None => Ruling {
            who: who(host).ok().map(|who| (*who).clone()),
            action: action.into(),
            resource,
            decision: Decision::deny("no policy is shared with stages").by(NAME),
            objection: Some(AccessErrorKind::NoPolicy),
            lapsed: false,
        },
    };
    cx.audit(ruling.notice_at(Some(&cx.path())));
    ruling
}
