//! A desk in memory.

mod table;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use stageflow_context::{ApprovalId, OrgId, RunId, SystemClock, UserId, WallClock};
use stageflow_interceptors::ForgetUser;
use tokio::sync::Notify;

use super::{
    ApprovalRecord, ApprovalRequest, ApprovalStatus, Approvals, DeskError, DeskErrorKind, EditCheck,
};
use table::{Scope, Table};

/// How much a desk keeps.
#[derive(Clone, Debug)]
#[must_use]
pub struct DeskOptions {
    max_pending: NonZeroUsize,
    history: usize,
    wall: Arc<dyn WallClock>,
}

impl DeskOptions {
    /// 1024 requests that wait, 1024 that are closed, and the system's clock.
    pub fn new() -> Self {
        Self {
            max_pending: const { NonZeroUsize::new(1024).unwrap() },
            history: 1024,
            wall: Arc::new(SystemClock::new()),
        }
    }

    /// How many requests may wait at a time. One more is refused.
    pub fn max_pending(mut self, requests: NonZeroUsize) -> Self {
        self.max_pending = requests;
        self
    }

    /// How many requests are remembered after they were closed. The oldest is forgotten first.
    pub fn history(mut self, requests: usize) -> Self {
        self.history = requests;
        self
    }

    /// Where the time of decisions comes from.
    pub fn wall_clock(mut self, wall: impl WallClock + 'static) -> Self {
        self.wall = Arc::new(wall);
        self
    }
}

impl Default for DeskOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Where requests for approval wait for a person, in memory. A clone is the same desk.
///
/// It shows the requests of every org: hand people [`ApprovalDesk::of`] instead, which shows one org's only.
///
/// Every request goes one way: pending, then approved, edited, rejected, expired or withdrawn, and never back. Whoever
/// decides second is told so.
#[derive(Clone)]
pub struct ApprovalDesk {
    inner: Arc<Inner>,
}

struct Inner {
    table: Mutex<Table>,
    wall: Arc<dyn WallClock>,
    /// Rung when a request comes in.
    asked: Notify,
}

impl ApprovalDesk {
    /// An empty desk.
    #[must_use]
    pub fn new() -> Self {
        Self::with(DeskOptions::new())
    }

    /// An empty desk that keeps so much.
    #[must_use]
    pub fn with(options: DeskOptions) -> Self {
        let DeskOptions {
            max_pending,
            history,
            wall,
        } = options;
        Self {
            inner: Arc::new(Inner {
                table: Mutex::new(Table::new(max_pending, history)),
                wall,
                asked: Notify::new(),
            }),
        }
    }

    /// The same desk, as the people of one org may see it: requests of others are unknown there.
    #[must_use]
    pub fn of(&self, org: OrgId) -> OrgDesk {
        OrgDesk {
            view: View {
                inner: Arc::clone(&self.inner),
                scope: Scope::Of(org),
            },
        }
    }

    fn view(&self) -> View {
        View {
            inner: Arc::clone(&self.inner),
            scope: Scope::All,
        }
    }
}

impl Default for ApprovalDesk {
    fn default() -> Self {
        Self::new()
    }
}

/// What the people of one org see of an [`ApprovalDesk`].
#[derive(Clone)]
pub struct OrgDesk {
    view: View,
}

impl OrgDesk {
    fn view(&self) -> View {
        self.view.clone()
    }
}

macro_rules! decides {
    ($desk:ident) => {
        impl $desk {
            /// The requests that nobody has decided, from the one that was asked first.
            #[must_use]
            pub fn pending(&self) -> Vec<ApprovalRequest> {
                let view = self.view();
                view.inner.table().pending(view.scope).cloned().collect()
            }

            /// The pending request of a run at a path such as `summarise[3]`, if there is one.
            #[must_use]
            pub fn find(&self, run: RunId, path: &str) -> Option<ApprovalRequest> {
                let view = self.view();
                let table = view.inner.table();
                let mut pending = table.pending(view.scope);
                pending
                    .find(|request| request.run == run && &*request.path == path)
                    .cloned()
            }

            /// Waits for a request that this has not given before. Of several that wait, each gets another one.
            ///
            /// # Cancellation
            ///
            /// Cancellation safe: dropped while it waits, no request is lost.
            pub async fn next_request(&self) -> ApprovalRequest {
                self.view().next_request().await
            }

            /// Lets a request pass as it is. `by` says who decides.
            ///
            /// # Errors
            ///
            /// [`DeskError`] if it is unknown or closed.
            pub fn approve(
                &self,
                id: ApprovalId,
                by: impl Into<Arc<str>>,
            ) -> Result<(), DeskError> {
                self.view()
                    .decide(id, ApprovalStatus::Approved { by: by.into() })
            }

            /// Lets a request pass with `value` in place of its payload. `by` says who decides.
            ///
            /// # Errors
            ///
            /// [`DeskError`] if it is unknown or closed, or if the stage cannot read `value`; then it is still pending.
            pub fn edit(
                &self,
                id: ApprovalId,
                value: Value,
                by: impl Into<Arc<str>>,
            ) -> Result<(), DeskError> {
                let by = by.into();
                self.view().decide(id, ApprovalStatus::Edited { by, value })
            }

            /// Does not let a request pass. `by` says who decides.
            ///
            /// # Errors
            ///
            /// [`DeskError`] if it is unknown or closed.
            pub fn reject(
                &self,
                id: ApprovalId,
                reason: impl Into<Arc<str>>,
                by: impl Into<Arc<str>>,
            ) -> Result<(), DeskError> {
                let (by, reason) = (by.into(), reason.into());
                self.view()
                    .decide(id, ApprovalStatus::Rejected { by, reason })
            }

            /// What is known of a request, also after it was closed.
            #[must_use]
            pub fn record(&self, id: ApprovalId) -> Option<ApprovalRecord> {
                let view = self.view();
                view.inner.table().record(id, view.scope).cloned()
            }

            /// The requests that are over, from the oldest that is still remembered.
            #[must_use]
            pub fn history(&self) -> Vec<ApprovalRecord> {
                let view = self.view();
                view.inner.table().history(view.scope).cloned().collect()
            }
        }

        impl fmt::Debug for $desk {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($desk))
                    .field("pending", &self.pending().len())
                    .finish_non_exhaustive()
            }
        }
    };
}

decides!(ApprovalDesk);
decides!(OrgDesk);

/// A desk as somebody sees it.
#[derive(Clone)]
struct View {
    inner: Arc<Inner>,
    scope: Scope,
}

impl View {
    fn decide(&self, id: ApprovalId, status: ApprovalStatus) -> Result<(), DeskError> {
        if let ApprovalStatus::Edited { value, .. } = &status {
            // Outside the lock: what reads the value is a program's own.
            let check = self.inner.table().check(id, self.scope);
            if let Some(Err(reason)) = check.map(|check| check.check(value)) {
                return Err(DeskError::new(id, DeskErrorKind::DoesNotFit(reason)));
            }
        }
        let now = self.inner.wall.now();
        self.inner.table().decide(id, self.scope, status, now)
    }

    async fn next_request(&self) -> ApprovalRequest {
        loop {
            // Registered before the table is looked at, so that what comes in between is not missed.
            let mut asked = std::pin::pin!(self.inner.asked.notified());
            asked.as_mut().enable();
            let found = self.inner.table().hand_out(self.scope);
            match found {
                Some(request) => return request,
                None => asked.await,
            }
        }
    }
}

/// Requests of theirs that are over are forgotten. Those of runs that wait stay until the run has ended.
impl ForgetUser for ApprovalDesk {
    fn forget_user(&self, org: Option<OrgId>, user: UserId) -> u64 {
        self.inner.table().forget_user(org, user)
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing of a program's own runs under the lock, so no panic leaves the table half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Approvals for ApprovalDesk {
    async fn submit(&self, request: ApprovalRequest, check: EditCheck) -> Result<(), DeskError> {
        self.inner.table().submit(request, check)?;
        self.inner.asked.notify_waiters();
        Ok(())
    }

    async fn decision(&self, id: ApprovalId) -> Result<ApprovalStatus, DeskError> {
        loop {
            let bell = self.inner.table().decided(id);
            let mut decided = bell.as_ref().map(|bell| Box::pin(bell.notified()));
            if let Some(decided) = &mut decided {
                decided.as_mut().enable();
            }
            let record = self.inner.table().record(id, Scope::All).cloned();
            match (record.map(|record| record.status), decided) {
                (None, _) => return Err(DeskError::new(id, DeskErrorKind::Unknown)),
                (Some(ApprovalStatus::Pending), Some(decided)) => decided.await,
                (Some(status), _) => return Ok(status),
            }
        }
    }

    fn close(&self, id: ApprovalId, status: ApprovalStatus) -> Option<ApprovalStatus> {
        let now = self.inner.wall.now();
        self.inner.table().close(id, status, now)
    }
}
