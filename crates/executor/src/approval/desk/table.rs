//! The desk's requests, and the only ways in which they change.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{ApprovalId, OrgId, UserId};
use tokio::sync::Notify;

use crate::approval::{
    ApprovalRecord, ApprovalRequest, ApprovalStatus, DeskError, DeskErrorKind, EditCheck,
};

/// Whose requests somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Of(OrgId),
}

impl Scope {
    fn covers(self, request: &ApprovalRequest) -> bool {
        match self {
            Self::All => true,
            Self::Of(org) => request.org == Some(org),
        }
    }
}

/// A request is *open* until its stage has taken the decision, and *closed* then. Of the open ones, those that nobody has
/// decided are pending.
pub(super) struct Table {
    max_pending: usize,
    max_closed: usize,
    next: u64,
    /// In the order in which they were asked.
    open: BTreeMap<u64, Open>,
    places: HashMap<ApprovalId, u64>,
    closed: HashMap<ApprovalId, ApprovalRecord>,
    /// In the order in which they were closed.
    order: VecDeque<ApprovalId>,
}

struct Open {
    record: ApprovalRecord,
    check: EditCheck,
    /// Whether somebody was given it to decide.
    is_handed_out: bool,
    decided: Arc<Notify>,
}

impl Open {
    fn is_pending(&self) -> bool {
        self.record.status == ApprovalStatus::Pending
    }
}

impl Table {
    pub(super) fn new(max_pending: NonZeroUsize, max_closed: usize) -> Self {
        Self {
            max_pending: max_pending.get(),
            max_closed,
            next: 0,
            open: BTreeMap::new(),
            places: HashMap::new(),
            closed: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn submit(
        &mut self,
        request: ApprovalRequest,
        check: EditCheck,
    ) -> Result<(), DeskError> {
        let id = request.id;
        if self.places.contains_key(&id) || self.closed.contains_key(&id) {
            return Err(DeskError::new(id, DeskErrorKind::Taken));
        }
        if self.open.len() >= self.max_pending {
            let limit = self.max_pending;
            return Err(DeskError::new(id, DeskErrorKind::Full { limit }));
        }
        let open = Open {
            record: ApprovalRecord {
                request,
                status: ApprovalStatus::Pending,
                closed_at: None,
            },
            check,
            is_handed_out: false,
            decided: Arc::default(),
        };
        self.places.insert(id, self.next);
        self.open.insert(self.next, open);
        self.next += 1;
        Ok(())
    }

    /// What an edited value has to pass, while the request is pending.
    pub(super) fn check(&self, id: ApprovalId, scope: Scope) -> Option<EditCheck> {
        let open = self.open.get(self.places.get(&id)?)?;
        let may = open.is_pending() && scope.covers(&open.record.request);
        may.then(|| open.check.clone())
    }

    /// Decides a pending request, once.
    pub(super) fn decide(
        &mut self,
        id: ApprovalId,
        scope: Scope,
        status: ApprovalStatus,
        now: SystemTime,
    ) -> Result<(), DeskError> {
        let refused = |kind| Err(DeskError::new(id, kind));
        let Some(open) = self.open_mut(id) else {
            return match self.closed.get(&id) {
                Some(record) if scope.covers(&record.request) => {
                    refused(DeskErrorKind::Closed(record.status.state()))
                }
                _ => refused(DeskErrorKind::Unknown),
            };
        };
        if !scope.covers(&open.record.request) {
            return refused(DeskErrorKind::Unknown);
        }
        if !open.is_pending() {
            return refused(DeskErrorKind::Closed(open.record.status.state()));
        }
        open.record.status = status;
        open.record.closed_at = Some(now);
        open.decided.notify_waiters();
        Ok(())
    }

    /// Puts a request away, with `status` if nobody has decided. Gives what has become of it.
    pub(super) fn close(
        &mut self,
        id: ApprovalId,
        status: ApprovalStatus,
        now: SystemTime,
    ) -> Option<ApprovalStatus> {
        let Some(place) = self.places.remove(&id) else {
            return self.closed.get(&id).map(|record| record.status.clone());
        };
        let mut open = self.open.remove(&place)?;
        if open.is_pending() {
            open.record.status = status;
            open.record.closed_at = Some(now);
        }
        open.decided.notify_waiters();
        let status = open.record.status.clone();
        self.order.push_back(id);
        self.closed.insert(id, open.record);
        while self.order.len() > self.max_closed {
            self.order
                .pop_front()
                .and_then(|oldest| self.closed.remove(&oldest));
        }
        Some(status)
    }

    /// The pending requests, from the one that was asked first.
    pub(super) fn pending(&self, scope: Scope) -> impl Iterator<Item = &ApprovalRequest> {
        self.open
            .values()
            .filter(move |open| open.is_pending() && scope.covers(&open.record.request))
            .map(|open| &open.record.request)
    }

    /// The pending request that was asked first and not handed out yet, which it is now.
    pub(super) fn hand_out(&mut self, scope: Scope) -> Option<ApprovalRequest> {
        let open = self.open.values_mut().find(|open| {
            open.is_pending() && !open.is_handed_out && scope.covers(&open.record.request)
        })?;
        open.is_handed_out = true;
        Some(open.record.request.clone())
    }

    /// What is known of a request.
    pub(super) fn record(&self, id: ApprovalId, scope: Scope) -> Option<&ApprovalRecord> {
        let open = self.places.get(&id).and_then(|place| self.open.get(place));
        open.map(|open| &open.record)
            .or_else(|| self.closed.get(&id))
            .filter(|record| scope.covers(&record.request))
    }

    /// What was closed, from the oldest that is still known.
    pub(super) fn history(&self, scope: Scope) -> impl Iterator<Item = &ApprovalRecord> {
        self.order
            .iter()
            .filter_map(|id| self.closed.get(id))
            .filter(move |record| scope.covers(&record.request))
    }

    /// Forgets what was closed for this user. How many requests.
    pub(super) fn forget_user(&mut self, org: Option<OrgId>, user: UserId) -> u64 {
        let before = self.closed.len();
        self.closed.retain(|_, record| {
            let request = &record.request;
            (request.org, request.user) != (org, Some(user))
        });
        self.order.retain(|id| self.closed.contains_key(id));
        (before - self.closed.len()) as u64
    }

    /// What to wait for until a request is decided.
    pub(super) fn decided(&self, id: ApprovalId) -> Option<Arc<Notify>> {
        let open = self.open.get(self.places.get(&id)?)?;
        Some(Arc::clone(&open.decided))
    }

    fn open_mut(&mut self, id: ApprovalId) -> Option<&mut Open> {
        self.open.get_mut(self.places.get(&id)?)
    }
}
