//! Where the people of an org decide.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use stageflow_context::ApprovalId;
use stageflow_executor::{
    ApprovalRecord, ApprovalRequest, ApprovalStatus, DeskError, DeskErrorKind,
};

use super::{StoredApprovals, rows, unavailable};
use crate::{Shelf, StoreError};

/// The requests of one org in [`StoredApprovals`]. Those of others are unknown here.
#[derive(Clone)]
pub struct OrgApprovals {
    all: StoredApprovals,
    shelf: Arc<dyn Shelf>,
}

impl OrgApprovals {
    pub(super) fn new(all: StoredApprovals, shelf: Arc<dyn Shelf>) -> Self {
        Self { all, shelf }
    }

    /// The requests that nobody has decided, in the order of their ids, after `after` if something is said. Also those of
    /// runs that have ended with their process: nobody waits for what is decided about them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn pending(
        &self,
        after: Option<ApprovalId>,
        most: u32,
    ) -> Result<Vec<ApprovalRequest>, StoreError> {
        self.all.flush().await?;
        let records = rows::all_pending(&*self.shelf, after, most).await?;
        Ok(records.into_iter().map(|record| record.request).collect())
    }

    /// The requests that are over, the newest first, older than `after` if something is said.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn history(
        &self,
        after: Option<ApprovalId>,
        most: u32,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.all.flush().await?;
        rows::history(&*self.shelf, after, most).await
    }

    /// What is known of a request.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn record(&self, id: ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        self.all.flush().await?;
        rows::record(&*self.shelf, id).await
    }

    /// Lets a request pass as it is. `by` says who decides. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`DeskError`] if it is unknown or closed, or cannot be kept.
    pub async fn approve(&self, id: ApprovalId, by: impl Into<Arc<str>>) -> Result<(), DeskError> {
        let by = by.into();
        self.decide(id, ApprovalStatus::Approved { by }).await
    }

    /// Lets a request pass with `value` in place of its payload. `by` says who decides. Only in the process in which the
    /// run waits, where it is known whether the stage can go on with it.
    ///
    /// # Errors
    ///
    /// [`DeskError`] if it is unknown or closed, or cannot be kept, or if the stage cannot read `value`; then it is still
    /// pending.
    pub async fn edit(
        &self,
        id: ApprovalId,
        value: Value,
        by: impl Into<Arc<str>>,
    ) -> Result<(), DeskError> {
        let by = by.into();
        self.decide(id, ApprovalStatus::Edited { by, value }).await
    }

    /// Does not let a request pass. `by` says who decides. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`DeskError`] if it is unknown or closed, or cannot be kept.
    pub async fn reject(
        &self,
        id: ApprovalId,
        reason: impl Into<Arc<str>>,
        by: impl Into<Arc<str>>,
    ) -> Result<(), DeskError> {
        let (by, reason) = (by.into(), reason.into());
        self.decide(id, ApprovalStatus::Rejected { by, reason })
            .await
    }

    async fn decide(&self, id: ApprovalId, status: ApprovalStatus) -> Result<(), DeskError> {
        let kept = |error| unavailable(id, &error);
        self.all.flush().await.map_err(kept)?;
        let open = self.all.open(id);
        match open.filter(|open| open.shelf.org() == self.shelf.org()) {
            Some(open) => {
                let desk = self.all.0.desk.of(self.shelf.org());
                match status.clone() {
                    ApprovalStatus::Edited { by, value } => desk.edit(id, value, by)?,
                    ApprovalStatus::Rejected { by, reason } => desk.reject(id, reason, by)?,
                    other => desk.approve(id, other.by().cloned().unwrap_or_default())?,
                }
                self.all.write(&open, &status).await.map_err(kept)
            }
            None => self.decide_elsewhere(id, &status).await,
        }
    }

    /// Nobody waits for it here: the one that does looks at its row.
    async fn decide_elsewhere(
        &self,
        id: ApprovalId,
        status: &ApprovalStatus,
    ) -> Result<(), DeskError> {
        let kept = |error| unavailable(id, &error);
        let refused = |kind| Err(DeskError::new(id, kind));
        let pending = rows::pending(&*self.shelf, id).await.map_err(kept)?;
        if let Some((row, record)) = pending {
            if matches!(status, ApprovalStatus::Edited { .. }) {
                let why =
                    "its run does not wait in this process, where nobody knows what it can read";
                return refused(DeskErrorKind::DoesNotFit(why.to_owned()));
            }
            let now = self.all.0.wall.now();
            let writes = rows::decided(row, &record.request, status, now).map_err(kept)?;
            if self.shelf.commit(writes).await.map_err(kept)? {
                return Ok(());
            }
        }
        match rows::record(&*self.shelf, id).await.map_err(kept)? {
            Some(record) => refused(DeskErrorKind::Closed(record.status.state())),
            None => refused(DeskErrorKind::Unknown),
        }
    }
}

impl fmt::Debug for OrgApprovals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrgApprovals")
            .field("org", &self.shelf.org())
            .finish_non_exhaustive()
    }
}
