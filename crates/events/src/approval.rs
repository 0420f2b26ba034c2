//! What events say of approvals.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stageflow_context::{ApprovalId, Part, StageIndex};

/// How far a request for approval has come. Everything but [`ApprovalState::Pending`] is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApprovalState {
    /// Somebody let it pass as it is.
    Approved,
    /// Somebody let it pass with changes.
    Edited,
    /// Nobody decided in time.
    Expired,
    /// It waits for somebody.
    Pending,
    /// Somebody turned it down.
    Rejected,
    /// The run, or the stage, has ended meanwhile: there is nothing to decide any more.
    Withdrawn,
}

impl ApprovalState {
    /// In lower case, as events spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Edited => "edited",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A request for approval was made, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalChange {
    /// The stage that asks.
    pub stage: StageIndex,
    /// Which try of it, or of its part, from 1.
    pub attempt: u32,
    /// The part of the stage, if it is a part of it that asks.
    pub part: Option<Arc<Part>>,
    /// Where in the pipeline, as in `summarise[3]`.
    pub path: Arc<str>,
    /// Which request.
    pub id: ApprovalId,
    /// What has become of it.
    pub state: ApprovalState,
    /// Who decided, if somebody did.
    pub by: Option<Arc<str>>,
}

impl ApprovalChange {
    /// The request `id`, made by this attempt at `path`, has come so far.
    #[must_use]
    pub fn new(
        stage: StageIndex,
        attempt: u32,
        path: Arc<str>,
        id: ApprovalId,
        state: ApprovalState,
        by: Option<Arc<str>>,
    ) -> Self {
        Self {
            stage,
            attempt,
            part: None,
            path,
            id,
            state,
            by,
        }
    }

    /// The same, made by a part of the stage.
    #[must_use]
    pub fn of_part(self, part: impl Into<Option<Arc<Part>>>) -> Self {
        Self {
            part: part.into(),
            ..self
        }
    }
}
