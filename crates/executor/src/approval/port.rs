//! The port through which runs ask for approval.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stageflow_context::{ApprovalId, mismatch};

use super::{ApprovalRequest, ApprovalStatus, DeskError};

/// Where requests for approval are kept until somebody decides. [`ApprovalDesk`](super::ApprovalDesk) keeps them in memory.
///
/// An engine calls [`Approvals::submit`], waits for [`Approvals::decision`], and calls [`Approvals::close`] at last, however
/// the stage ends; it may call it more than once.
#[async_trait]
pub trait Approvals: Send + Sync + 'static {
    /// Takes a request. `check` says of an edited value whether the stage can go on with it.
    ///
    /// # Errors
    ///
    /// [`DeskError`] if there is no room for it.
    async fn submit(&self, request: ApprovalRequest, check: EditCheck) -> Result<(), DeskError>;

    /// Waits until the request is not pending any more, and says what has become of it. Cancellation safe.
    ///
    /// # Errors
    ///
    /// [`DeskError`] if there is no such request.
    async fn decision(&self, id: ApprovalId) -> Result<ApprovalStatus, DeskError>;

    /// Closes a request with `status`, [`ApprovalStatus::Expired`] or [`ApprovalStatus::Withdrawn`], if nobody has decided
    /// yet. Gives what has become of it, which may be a decision that came first; `None` if there is no such request.
    ///
    /// Called where a future is dropped: it must not wait.
    fn close(&self, id: ApprovalId, status: ApprovalStatus) -> Option<ApprovalStatus>;
}

/// Says of an edited value whether it is one that the stage can go on with, and if not, why; without the value.
#[derive(Clone)]
pub struct EditCheck(Arc<Check>);

type Check = dyn Fn(&Value) -> Result<(), String> + Send + Sync;

impl EditCheck {
    /// Passes what can be read as a `T`.
    #[must_use]
    pub fn reads_as<T: DeserializeOwned + 'static>() -> Self {
        Self(Arc::new(|value| {
            T::deserialize(value)
                .map(drop)
                .map_err(|error: serde_json::Error| mismatch(&error))
        }))
    }

    /// Whether `value` passes.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        (self.0)(value)
    }
}

impl fmt::Debug for EditCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EditCheck(..)")
    }
}
