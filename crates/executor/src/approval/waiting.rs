//! A request on its way: made, waited for, and closed however the stage ends.

use std::any::Any;
use std::sync::Arc;

use futures_util::future::{Either, select};
use serde_json::Value;
use stageflow_context::{ApprovalId, StageCx, Stop};
use stageflow_events::{ApprovalChange, ApprovalState};

use super::port::EditCheck;
use super::{ApprovalError, ApprovalErrorKind, ApprovalRequest, ApprovalStatus, Approvals, Ask};
use crate::shared::{RunShared, What};
use crate::slots::Lend as _;

/// What is asked, and by whom.
pub(super) struct Gate<'a> {
    pub(super) cx: &'a StageCx,
    pub(super) payload: Value,
    pub(super) ask: &'a Ask,
    pub(super) check: EditCheck,
}

/// Puts the request on the desk and waits for what becomes of it.
pub(super) async fn ask_desk(gate: Gate<'_>) -> Result<ApprovalStatus, Stop> {
    let cx = gate.cx;
    let refused = |kind| ApprovalError::new(cx.path(), kind).into_stop();
    let host: &dyn Any = &**cx.host();
    let run = host.downcast_ref::<RunShared>();
    let Some((run, desk)) = run.and_then(|run| Some((run, run.engine.approvals.as_ref()?))) else {
        return Err(refused(ApprovalErrorKind::NoDesk));
    };
    let request = request(run, &gate);
    let mut open = OpenRequest {
        run,
        desk: &**desk,
        cx,
        id: request.id,
        path: Arc::clone(&request.path),
        told: ApprovalState::Withdrawn,
    };
    let submitted = desk.submit(request, gate.check).await;
    submitted.map_err(|error| refused(ApprovalErrorKind::Desk(error)))?;
    open.tell(&ApprovalStatus::Pending);
    // Whoever waits for a person holds nothing that others might need.
    let status = cx.lend(open.wait(gate.ask)).await?;
    open.tell(&status);
    Ok(status)
}

fn request(run: &RunShared, gate: &Gate<'_>) -> ApprovalRequest {
    let (cx, engine) = (gate.cx, &run.engine);
    let identity = cx.identity();
    let mut lineage: Vec<Arc<str>> = identity
        .lineage()
        .map(|from| Arc::from(from.stage()))
        .collect();
    lineage.reverse();
    let asked_at = engine.wall.now();
    ApprovalRequest {
        id: ApprovalId::generate(&*engine.ids),
        org: identity.org_id(),
        user: identity.user_id(),
        run: identity.run_id(),
        correlation: identity.correlation_id(),
        pipeline: Arc::clone(run.plan.name()),
        lineage,
        path: cx.path().into(),
        title: Arc::clone(&gate.ask.title),
        payload: gate.payload.clone(),
        asked_at,
        deadline: gate
            .ask
            .deadline
            .and_then(|(limit, _)| asked_at.checked_add(limit)),
    }
}

/// A request that was made: withdrawn when its stage goes away before somebody has decided.
struct OpenRequest<'a> {
    run: &'a RunShared,
    desk: &'a dyn Approvals,
    cx: &'a StageCx,
    id: ApprovalId,
    path: Arc<str>,
    /// What the events say of it; withdrawn before they have said anything.
    told: ApprovalState,
}

impl OpenRequest<'_> {
    /// Until somebody has decided, the request has expired, or the run is told to stop.
    async fn wait(&self, ask: &Ask) -> Result<ApprovalStatus, Stop> {
        let decision = std::pin::pin!(self.desk.decision(self.id));
        let stopped = std::pin::pin!(self.cx.cancelled());
        let decided = select(decision, stopped);
        let lost = |error| {
            ApprovalError::new(Arc::clone(&self.path), ApprovalErrorKind::Desk(error)).into_stop()
        };
        let over = match ask.deadline {
            None => decided.await,
            Some((limit, _)) => {
                let timer = std::pin::pin!(tokio::time::sleep(limit));
                match select(decided, timer).await {
                    Either::Left((over, _)) => over,
                    // A decision that came at the last moment counts.
                    Either::Right(_) => {
                        let closed = self.desk.close(self.id, ApprovalStatus::Expired);
                        return Ok(closed.unwrap_or(ApprovalStatus::Expired));
                    }
                }
            }
        };
        match over {
            Either::Left((status, _)) => status.map_err(lost),
            Either::Right(_) => self
                .cx
                .check()
                .and_then(|()| Err(Stop::cancel("the run was stopped"))),
        }
    }

    fn tell(&mut self, status: &ApprovalStatus) {
        self.told = status.state();
        let (stage, attempt) = (self.cx.index(), self.cx.attempt().get());
        let change = ApprovalChange::new(
            stage,
            attempt,
            Arc::clone(&self.path),
            self.id,
            self.told,
            status.by().cloned(),
        )
        .of_part(self.cx.part().cloned());
        self.run
            .say(stage, attempt, What::Approval(Box::new(change)));
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        let closed = self.desk.close(self.id, ApprovalStatus::Withdrawn);
        if self.told == ApprovalState::Pending {
            self.tell(&closed.unwrap_or(ApprovalStatus::Withdrawn));
        }
    }
}
