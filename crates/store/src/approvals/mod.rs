//! Requests for approval, kept.

mod org;
mod rows;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use stageflow_context::{ApprovalId, OrgId, SystemClock, UserId, WallClock};
use stageflow_executor::{
    ApprovalDesk, ApprovalRequest, ApprovalStatus, Approvals, DeskError, DeskErrorKind,
    DeskOptions, EditCheck,
};
use stageflow_interceptors::ForgetUser;
use stageflow_tenancy::TenantScope;
use tokio::time::sleep;

use crate::seen::Shelves;
use crate::{SeenTenants, Shelf, Store, StoreError, StoreErrorKind};

pub use org::OrgApprovals;

/// How often it is looked whether somebody has decided in another process.
const LOOK: Duration = Duration::from_secs(1);

/// How often somebody else may be faster, before it is too busy.
const TRIES: usize = 32;

/// Keeps requests for approval in a store, each under the org of its run; runs that are for nobody cannot ask. What was asked
/// is there after a restart, too, and so is what was decided. People decide with what [`of`](Self::of) gives, in this process
/// or in another one.
///
/// A decision is on the disk before the stage goes on with it. Of a run that was told to stop, or whose request has expired,
/// this is written down with the next call or with [`flush`](Self::flush), since nothing may wait where that happens; until
/// then its request is pending for other processes. A request that was erased with its user stays erased. A clone is the same.
///
/// ```
/// use std::sync::Arc;
/// use stageflow_executor::Engine;
/// use stageflow_store::{MemoryStore, SeenTenants, StoredApprovals};
///
/// let seen = SeenTenants::new();
/// let approvals = StoredApprovals::new(Arc::new(MemoryStore::new()), &seen);
/// let engine = Engine::builder().intercept(seen).approvals(approvals.clone()).build();
/// ```
#[derive(Clone)]
pub struct StoredApprovals(Arc<Inner>);

struct Inner {
    /// Those whose runs wait in this process. It says which of a decision and an end came first.
    desk: ApprovalDesk,
    shelves: Shelves,
    seen: SeenTenants,
    wall: Arc<dyn WallClock>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    open: HashMap<ApprovalId, Open>,
    /// What has become of requests, and is not written down.
    over: VecDeque<(Open, ApprovalStatus)>,
}

/// A request whose run waits here. There are no more of them than the desk takes, and each is over once.
#[derive(Clone)]
struct Open {
    request: Arc<ApprovalRequest>,
    shelf: Arc<dyn Shelf>,
}

impl StoredApprovals {
    /// In this store, for the tenants that are seen: give a clone of `seen` to the engine as a layer.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, seen: &SeenTenants) -> Self {
        Self::with(store, seen, DeskOptions::new(), SystemClock::new())
    }

    /// The same, with so much room for requests whose runs wait in this process, and by this clock.
    #[must_use]
    pub fn with(
        store: Arc<dyn Store>,
        seen: &SeenTenants,
        desk: DeskOptions,
        wall: impl WallClock + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            desk: ApprovalDesk::with(desk),
            shelves: Shelves::new(store),
            seen: seen.clone(),
            wall: Arc::new(wall),
            waiting: Mutex::default(),
        }))
    }

    /// The requests of a tenant: to see them, and to decide.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn of(&self, scope: &TenantScope) -> Result<OrgApprovals, StoreError> {
        let shelf = self.0.shelves.of(scope).await?;
        Ok(OrgApprovals::new(self.clone(), shelf))
    }

    /// Writes down which requests are over without a decision.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer. What is not written is still to be written.
    ///
    /// # Cancellation
    ///
    /// Cancellation safe.
    pub async fn flush(&self) -> Result<(), StoreError> {
        loop {
            let next = self.waiting().over.front().cloned();
            let Some((open, status)) = next else {
                return Ok(());
            };
            self.write(&open, &status).await?;
            let mut waiting = self.waiting();
            let is_same = |(other, _): &(Open, _)| other.request.id == open.request.id;
            if waiting.over.front().is_some_and(is_same) {
                waiting.over.pop_front();
            }
        }
    }

    /// What the desk says is what the run goes on with: it is written over whatever is there. If nothing is there any more, the
    /// request was erased with its user, and stays so.
    async fn write(&self, open: &Open, status: &ApprovalStatus) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(there) = rows::either(&*open.shelf, open.request.id).await? else {
                return Ok(());
            };
            let now = self.0.wall.now();
            let decided = rows::decided(there, &open.request, status, now)?;
            if open.shelf.commit(decided).await? {
                return Ok(());
            }
        }
        let busy = StoreErrorKind::TooBusy;
        Err(StoreError::new(busy, "writing what became of a request"))
    }

    fn open(&self, id: ApprovalId) -> Option<Open> {
        self.waiting().open.get(&id).cloned()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that could panic half-way is done under the lock.
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, open: &Open, check: EditCheck) -> Result<(), DeskError> {
        let request = &open.request;
        let unavailable = |error| unavailable(request.id, &error);
        let asked = rows::asked(request).map_err(unavailable)?;
        if !open.shelf.commit(asked).await.map_err(unavailable)? {
            return Err(DeskError::new(request.id, DeskErrorKind::Taken));
        }
        let submitted = self.0.desk.submit((**request).clone(), check).await;
        if submitted.is_err() {
            let forgotten = open.shelf.commit(rows::forgotten(request.id)).await;
            forgotten.map_err(unavailable)?;
        }
        submitted
    }

    /// Whether somebody has decided in another process: then the desk is told.
    async fn look(&self, open: &Open) {
        let id = open.request.id;
        // What does not answer now is asked again.
        let Ok(Some(record)) = rows::record(&*open.shelf, id).await else {
            return;
        };
        let desk = &self.0.desk;
        // If the desk has closed it meanwhile, that is what counts.
        let _first = match record.status {
            ApprovalStatus::Approved { by } => desk.approve(id, by),
            ApprovalStatus::Edited { by, value } => desk.edit(id, value, by),
            ApprovalStatus::Rejected { by, reason } => desk.reject(id, reason, by),
            _ => Ok(()),
        };
    }
}

#[async_trait]
impl Approvals for StoredApprovals {
    async fn submit(&self, request: ApprovalRequest, check: EditCheck) -> Result<(), DeskError> {
        let id = request.id;
        let refused = |error| unavailable(id, &error);
        self.flush().await.map_err(refused)?;
        let shelf = self.0.shelves.of_seen(&self.0.seen, request.org).await;
        let open = Open {
            request: Arc::new(request),
            shelf: shelf.map_err(refused)?,
        };
        // Known from here on, so that what is dropped on the way is closed, too.
        self.waiting().open.insert(id, open.clone());
        let asked = self.ask(&open, check).await;
        if asked.is_err() {
            self.waiting().open.remove(&id);
        }
        asked
    }

    async fn decision(&self, id: ApprovalId) -> Result<ApprovalStatus, DeskError> {
        let Some(open) = self.open(id) else {
            return self.0.desk.decision(id).await;
        };
        let mut decision = std::pin::pin!(self.0.desk.decision(id));
        let status = loop {
            let look = std::pin::pin!(sleep(LOOK));
            match select(decision.as_mut(), look).await {
                Either::Left((status, _)) => break status?,
                Either::Right(_) => self.look(&open).await,
            }
        };
        let written = self.write(&open, &status).await;
        written.map_err(|error| unavailable(id, &error))?;
        Ok(status)
    }

    fn close(&self, id: ApprovalId, status: ApprovalStatus) -> Option<ApprovalStatus> {
        let closed = self.0.desk.close(id, status.clone());
        let mut waiting = self.waiting();
        if let Some(open) = waiting.open.remove(&id) {
            let status = closed.clone().unwrap_or(status);
            waiting.over.push_back((open, status));
        }
        closed
    }
}

/// What this process has in memory of requests of theirs that are over; the rows are erased as all others are.
impl ForgetUser for StoredApprovals {
    fn forget_user(&self, org: Option<OrgId>, user: UserId) -> u64 {
        let whose = (org, Some(user));
        // They would not be written down any more, either.
        self.waiting()
            .over
            .retain(|(open, _)| (open.request.org, open.request.user) != whose);
        self.0.desk.forget_user(org, user)
    }
}

fn unavailable(id: ApprovalId, error: &StoreError) -> DeskError {
    DeskError::new(id, DeskErrorKind::Unavailable(error.to_string()))
}

impl fmt::Debug for StoredApprovals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting();
        f.debug_struct("StoredApprovals")
            .field("waiting", &waiting.open.len())
            .field("to_write", &waiting.over.len())
            .finish_non_exhaustive()
    }
}
