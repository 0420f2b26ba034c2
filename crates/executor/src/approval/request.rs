//! Requests for approval as plain data, so that they can be kept.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stageflow_context::{ApprovalId, CorrelationId, OrgId, RunId, UserId};
use stageflow_events::ApprovalState;

/// What somebody is asked to approve, and where in which run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// Which request.
    pub id: ApprovalId,
    /// The tenant the run is for, if it is for one. Nobody else may see the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    /// The user the run is for, if it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The run that waits.
    pub run: RunId,
    /// What ties the run to everything else that is done for the same cause.
    pub correlation: CorrelationId,
    /// The run's pipeline.
    pub pipeline: Arc<str>,
    /// The stages that started this run and the runs above it, from the outermost in; empty for a run that nothing started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Arc<str>>,
    /// Where in the run: the stage, and the place inside it, as in `summarise[3]`.
    pub path: Arc<str>,
    /// What the person is asked.
    pub title: Arc<str>,
    /// What is to be approved.
    pub payload: Value,
    /// When it was asked.
    pub asked_at: SystemTime,
    /// When it expires, if it does. The run's own deadline may come earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<SystemTime>,
}

/// How far a request has come, and who has decided what. Everything but `Pending` is for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApprovalStatus {
    /// It passes as it is.
    Approved {
        /// Who says so.
        by: Arc<str>,
    },
    /// It passes with this in place of what was asked for.
    Edited {
        /// Who says so.
        by: Arc<str>,
        /// What is passed on.
        value: Value,
    },
    /// Nobody decided in time.
    Expired,
    /// Nobody has decided yet.
    Pending,
    /// It does not pass.
    Rejected {
        /// Who says so.
        by: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// The run, or the stage, ended before somebody decided.
    Withdrawn,
}

impl ApprovalStatus {
    /// Without who and what.
    #[must_use]
    pub fn state(&self) -> ApprovalState {
        match self {
            Self::Approved { .. } => ApprovalState::Approved,
            Self::Edited { .. } => ApprovalState::Edited,
            Self::Expired => ApprovalState::Expired,
            Self::Pending => ApprovalState::Pending,
            Self::Rejected { .. } => ApprovalState::Rejected,
            Self::Withdrawn => ApprovalState::Withdrawn,
        }
    }

    /// Who decided, if somebody did.
    #[must_use]
    pub fn by(&self) -> Option<&Arc<str>> {
        match self {
            Self::Approved { by } | Self::Edited { by, .. } | Self::Rejected { by, .. } => Some(by),
            Self::Expired | Self::Pending | Self::Withdrawn => None,
        }
    }
}

/// A request, and what has become of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApprovalRecord {
    /// What was asked.
    pub request: ApprovalRequest,
    /// How far it has come.
    pub status: ApprovalStatus,
    /// When it was decided or closed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<SystemTime>,
}
