//! Why somebody may not do something.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use stageflow_context::OrgId;

use super::NAME;
use crate::{Decision, Principal, Resource};

/// Why somebody may not do something. Its text is for those who run the engine: it names who asked, for what, and which policy
/// said no. [`AccessError::public`] is for whoever asked.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessError(Arc<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: AccessErrorKind,
    who: Option<(Arc<str>, OrgId)>,
    action: Arc<str>,
    resource: Resource,
    decision: Decision,
}

/// Why somebody may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccessErrorKind {
    /// The policy says no.
    Denied,
    /// What it is to be done to belongs to another org, or to nobody. No policy was asked.
    ForeignResource,
    /// Their time is over, and the layer says that they may do nothing then: see [`WhenLapsed`](crate::WhenLapsed).
    Lapsed,
    /// A stage asked, and the engine shares no policy with stages.
    NoPolicy,
    /// It is not known who asks.
    Nobody,
    /// Whoever asks belongs to another org than the run.
    OtherOrg,
    /// The policy cannot tell.
    Undecided,
}

impl AccessError {
    pub(super) fn new(
        kind: AccessErrorKind,
        who: Option<&Principal>,
        action: &str,
        resource: Resource,
        decision: Decision,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            who: who.map(|who| (who.subject().into(), who.org())),
            action: action.into(),
            resource,
            decision,
        }))
    }

    /// The one among an error and its causes, if there is one: such as in the error of a run.
    #[must_use]
    pub fn among(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            next = error.source();
        }
        None
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> AccessErrorKind {
        self.0.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            AccessErrorKind::Denied => "SF0621",
            AccessErrorKind::Undecided => "SF0622",
            AccessErrorKind::Nobody => "SF0623",
            AccessErrorKind::OtherOrg => "SF0624",
            AccessErrorKind::NoPolicy => "SF0625",
            AccessErrorKind::ForeignResource => "SF0640",
            AccessErrorKind::Lapsed => "SF0634",
        }
    }

    /// What they wanted to do.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.0.action
    }

    /// What they wanted to do it to.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// What was decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// What whoever asked may be told. It names nobody and nothing inside; the same words as those of a
    /// [`Refusal`](stageflow_interceptors::Refusal::public).
    #[must_use]
    pub fn public(&self) -> &'static str {
        match self.0.kind {
            AccessErrorKind::Lapsed | AccessErrorKind::Nobody => "show valid credentials",
            AccessErrorKind::Undecided => "this cannot be decided at present; try again later",
            AccessErrorKind::Denied
            | AccessErrorKind::ForeignResource
            | AccessErrorKind::NoPolicy
            | AccessErrorKind::OtherOrg => "you may not do this",
        }
    }

    fn help(&self) -> &'static str {
        match self.0.kind {
            AccessErrorKind::Denied => "change the policy, or let somebody ask who may",
            AccessErrorKind::ForeignResource => {
                "look for an id that came with the input; say whose it is with `Resource::owned_by`, or that all orgs have it with \
                 `Resource::shared`"
            }
            AccessErrorKind::Lapsed => {
                "let them show new credentials and start again, or say `.when_lapsed(WhenLapsed::AsAdmitted)`"
            }
            AccessErrorKind::NoPolicy => {
                "give the engine the layer's policy for stages with `.admit(authorize.for_stages())`"
            }
            AccessErrorKind::Nobody => {
                "let an admission attach the `Principal` it has proved, as `Authenticate` does"
            }
            AccessErrorKind::OtherOrg => {
                "let the admission say whose the run is with `Arrival::belongs_to`"
            }
            AccessErrorKind::Undecided => {
                "look at what the policy needs to know, or say `.when_undecided(..)`"
            }
        }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            who,
            action,
            resource,
            decision,
            ..
        } = &*self.0;
        write!(f, "{}: layer `{NAME}`: ", self.code())?;
        match who {
            Some((subject, org)) => write!(f, "`{subject}` of {org}")?,
            None => f.write_str("nobody")?,
        }
        write!(f, " asked for `{action}` on {resource}: ")?;
        decision.fmt(f)?;
        write!(f, "; {}", self.help())
    }
}

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError")
            .field("kind", &self.0.kind)
            .field("who", &self.0.who)
            .field("action", &self.0.action)
            .field("resource", &self.0.resource)
            .field("decision", &self.0.decision)
            .finish()
    }
}

impl Error for AccessError {}
