//! What can go wrong at a gate, and at a desk.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use stageflow_context::{ApprovalId, ErrorClass, Stop};
use stageflow_events::ApprovalState;

use super::Decider;

/// Why a stage does not get past a gate.
#[derive(Clone, Debug)]
pub struct ApprovalError {
    path: Arc<str>,
    kind: ApprovalErrorKind,
}

/// The ways in which a gate stays closed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ApprovalErrorKind {
    /// The desk does not take the request, or has lost it.
    Desk(DeskError),
    /// The engine has no desk.
    NoDesk,
    /// Somebody turned it down, or nobody decided in time.
    Rejected {
        /// Who.
        by: Decider,
        /// Why.
        reason: Arc<str>,
    },
    /// The value cannot be written as JSON, or the edited one cannot be read.
    Unreadable(String),
}

impl ApprovalError {
    pub(super) fn new(path: impl Into<Arc<str>>, kind: ApprovalErrorKind) -> Self {
        Self {
            path: path.into(),
            kind,
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &ApprovalErrorKind {
        &self.kind
    }

    /// Where in the pipeline.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0312"
    }

    /// Whether another attempt could help: only if the desk was full, or could not keep it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match &self.kind {
            ApprovalErrorKind::Desk(error) => match error.kind() {
                DeskErrorKind::Full { .. } | DeskErrorKind::Unavailable(_) => ErrorClass::Transient,
                _ => ErrorClass::Permanent,
            },
            _ => ErrorClass::Permanent,
        }
    }

    pub(super) fn into_stop(self) -> Stop {
        match self.class() {
            ErrorClass::Transient => Stop::transient(self),
            _ => Stop::fail(self),
        }
    }
}

impl fmt::Display for ApprovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` ", self.code(), self.path)?;
        match &self.kind {
            ApprovalErrorKind::Desk(error) => write!(f, "cannot ask for approval: {error}"),
            ApprovalErrorKind::NoDesk => f.write_str(
                "cannot ask for approval: its engine has no desk; give it one with `Engine::builder().approvals(..)`",
            ),
            ApprovalErrorKind::Rejected { by, reason } => write!(
                f,
                "was rejected by {by}: {reason}; let the run do without it with `OnReject::Skip`, or change what is asked for"
            ),
            ApprovalErrorKind::Unreadable(reason) => write!(
                f,
                "has a value that does not survive JSON: {reason}; make it one that `serde_json` can write and read"
            ),
        }
    }
}

impl Error for ApprovalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ApprovalErrorKind::Desk(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a desk refuses a request or a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskError {
    id: ApprovalId,
    kind: DeskErrorKind,
}

/// The ways in which a desk refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeskErrorKind {
    /// It was decided already, or there is nothing to decide any more.
    Closed(ApprovalState),
    /// The edited value is not one that the stage can go on with. The request is still pending.
    DoesNotFit(String),
    /// Too many requests are pending.
    Full {
        /// How many there may be.
        limit: usize,
    },
    /// There is a request with this id.
    Taken,
    /// What keeps the desk's requests does not do it, for this reason.
    Unavailable(String),
    /// There is no such request, or not for this org, or it was closed so long ago that it is forgotten.
    Unknown,
}

impl DeskError {
    /// The desk refuses what concerns `id`.
    #[must_use]
    pub const fn new(id: ApprovalId, kind: DeskErrorKind) -> Self {
        Self { id, kind }
    }

    /// Which request it is about.
    #[must_use]
    pub fn id(&self) -> ApprovalId {
        self.id
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &DeskErrorKind {
        &self.kind
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0410"
    }
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: request `{}` ", self.code(), self.id)?;
        match &self.kind {
            DeskErrorKind::Closed(state) => write!(
                f,
                "is {state} already, and that is for good; look at `desk.pending()` for what is open"
            ),
            DeskErrorKind::DoesNotFit(reason) => write!(
                f,
                "was not edited, because the stage cannot read the value: {reason}; it is still pending: change the value, and call `edit` again"
            ),
            DeskErrorKind::Full { limit } => write!(
                f,
                "was not taken: {limit} are pending, and there may be no more; raise `DeskOptions::max_pending`, or let people decide some"
            ),
            DeskErrorKind::Taken => f.write_str("was not taken: there is one with this id already; ask under an id that `ApprovalId::generate` gives"),
            DeskErrorKind::Unavailable(reason) => write!(
                f,
                "cannot be kept: {reason}; look after the store behind the desk, and ask again"
            ),
            DeskErrorKind::Unknown => f.write_str(
                "is not known here; take ids from `pending()` of the same desk: each knows its own org's only",
            ),
        }
    }
}

impl Error for DeskError {}
