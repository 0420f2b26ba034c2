//! A desk that goes wrong if it is told to, and the people who sit at it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stageflow::context::{ApprovalId, SystemIds};
use stageflow::executor::{ApprovalRequest, ApprovalStatus, Approvals, DeskError, EditCheck};
use stageflow::interceptors::async_trait;
use stageflow::prelude::*;
use tokio::time::sleep;

use super::case::{Act, Case};

/// How the desk is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// One request in forty is there twice.
    AskTwice,
    /// One decision in forty is that about the request before.
    MixUp,
    /// One request in forty stays open when its run has ended.
    Forget,
    /// One request in ten that has expired counts as approved.
    Revive,
}

pub(super) struct Desk {
    pub(super) inner: ApprovalDesk,
    flaw: Flaw,
    chances: AtomicU64,
    before: Mutex<Option<ApprovalId>>,
}

impl Desk {
    pub(super) fn new(flaw: Flaw) -> Self {
        Self {
            inner: ApprovalDesk::new(),
            flaw,
            chances: AtomicU64::new(0),
            before: Mutex::new(None),
        }
    }

    fn strikes(&self, flaw: Flaw, every: u64) -> bool {
        self.flaw == flaw
            && (self.chances.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every)
    }
}

/// The desk as an engine is given it.
pub(super) struct Clerk(pub(super) std::sync::Arc<Desk>);

#[async_trait]
impl Approvals for Clerk {
    async fn submit(&self, request: ApprovalRequest, check: EditCheck) -> Result<(), DeskError> {
        if self.0.strikes(Flaw::AskTwice, 40) {
            let mut again = request.clone();
            again.id = ApprovalId::generate(&SystemIds::new());
            self.0.inner.submit(again, check.clone()).await?;
        }
        self.0.inner.submit(request, check).await
    }

    async fn decision(&self, id: ApprovalId) -> Result<ApprovalStatus, DeskError> {
        let before = self.0.before.lock().ok().and_then(|mut at| at.replace(id));
        let about = before.filter(|_| self.0.strikes(Flaw::MixUp, 40));
        self.0.inner.decision(about.unwrap_or(id)).await
    }

    fn close(&self, id: ApprovalId, status: ApprovalStatus) -> Option<ApprovalStatus> {
        let expires = status == ApprovalStatus::Expired;
        if !expires && self.0.strikes(Flaw::Forget, 40) {
            return None;
        }
        let closed = self.0.inner.close(id, status);
        if closed == Some(ApprovalStatus::Expired) && expires && self.0.strikes(Flaw::Revive, 10) {
            return Some(ApprovalStatus::Approved { by: "desk".into() });
        }
        closed
    }
}

/// What a person was told at each gate of a run; `None` where they did nothing.
pub(super) type Answers = Vec<Option<Result<(), DeskError>>>;

/// Sees the request of each gate of a run the moment it is made, and decides when it is time. What is asked for can be
/// found by its run and path.
pub(super) async fn people(
    desk: &ApprovalDesk,
    run: stageflow::context::RunId,
    case: &Case,
) -> Answers {
    // After all have asked, and before anybody decides.
    sleep(Duration::from_millis(case.before + 1)).await;
    let desk = desk.of(case.org);
    let gates = (0..).zip(&case.gates).map(|(at, gate)| {
        let asked = desk.find(run, &format!("gate{at}"));
        let desk = &desk;
        async move {
            let id = asked?.id;
            sleep(Duration::from_millis(gate.after - 1)).await;
            match gate.act {
                Act::Nothing => None,
                Act::Approve => Some(desk.approve(id, "ada")),
                Act::Reject => Some(desk.reject(id, "no", "ada")),
                Act::Edit => Some(desk.edit(id, case.edited(at).into(), "ada")),
            }
        }
    });
    futures_util::future::join_all(gates).await
}
