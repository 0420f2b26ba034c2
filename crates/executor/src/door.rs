//! The door: who may run is asked before anything of a run starts.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
use serde_json::json;
use stageflow_context::{
    Attached, AuditArea, AuditNotice, Budget, Credentials, OrgId, RunHost as _, RunIdentity,
};
use stageflow_interceptors::{
    Admission, Arrival, Pass, Phase, Refusal, RefusalKind, panic_message,
};
use tokio::time::{Instant, sleep_until};

use crate::settings::RunOptions;
use crate::shared::RunShared;

/// A run at the door: what it waits for before it begins.
pub(crate) struct Door {
    asked: BoxFuture<'static, Arrived>,
    /// What was known of it when it went away.
    left: Arc<OnceLock<Arrived>>,
}

impl Door {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arrived> {
        self.asked.as_mut().poll(cx)
    }

    /// The run goes away. Gives what was known of it, if admissions have said something that must not be lost.
    pub(crate) fn leave(self) -> Option<Arrived> {
        drop(self.asked);
        let left = Arc::into_inner(self.left)?.into_inner()?;
        (!left.said.is_empty()).then_some(left)
    }
}

/// What a run comes with, for those who ask.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    credentials: Option<Credentials>,
    budget: Option<Budget>,
}

impl Shown {
    /// Takes it out of the options: it is nobody else's business until the run is in.
    pub(crate) fn taken_from(options: &mut RunOptions) -> Self {
        Self {
            credentials: options.credentials.take(),
            budget: options.budget.take(),
        }
    }
}

/// What is known of a run once the door has been opened to it, or not.
pub(crate) struct Arrived {
    pub(crate) identity: RunIdentity,
    pub(crate) attached: Attached,
    pub(crate) budget: Option<Budget>,
    pub(crate) said: Vec<AuditNotice>,
    pub(crate) admitted: Result<Vec<Pass>, Refusal>,
}

/// Asks every admission of the engine in turn, until one refuses or the run is told to stop.
pub(crate) fn ask(run: Arc<RunShared>, shown: Shown, due: Option<Instant>) -> Door {
    let left = Arc::new(OnceLock::new());
    let leaves = Arc::clone(&left);
    let asked = Box::pin(async move {
        let arrival = Arrival::new(run.plan.name(), run.identity().clone())
            .with_credentials(shown.credentials.as_ref())
            .with_attached(run.attached().cloned().unwrap_or_default())
            .with_budget(shown.budget)
            .with_deadline(due)
            .with_weight(run.weight());
        let admissions = &run.engine.admissions;
        // They are sorted by phase: those that find out who somebody is come first.
        let provers = admissions.partition_point(|admission| proves(&**admission));
        let proved = provers == 0;
        let mut caller = Caller {
            arrival,
            proved,
            leaves: Some(&leaves),
        };
        let admitted = {
            let (told, late) = (pin!(run.cancel.cancelled()), pin!(until(due)));
            let asked = pin!(ask_all(admissions, provers, &mut caller));
            // Who is both let in and told to stop is told to stop.
            match select(select(told, late), asked).await {
                Either::Left(_) => Ok(Vec::new()),
                Either::Right((admitted, _)) => admitted,
            }
        };
        caller.leaves = None;
        caller.arrived(admitted)
    });
    Door { asked, left }
}

/// Whoever stands at the door. One that goes away leaves what was said of it.
struct Caller<'a> {
    arrival: Arrival<'a>,
    /// Whether it is known who it is, as far as anybody asks.
    proved: bool,
    leaves: Option<&'a OnceLock<Arrived>>,
}

impl Caller<'_> {
    fn arrived(&mut self, admitted: Result<Vec<Pass>, Refusal>) -> Arrived {
        if !self.proved {
            self.arrival.disown();
        }
        Arrived {
            identity: self.arrival.identity().clone(),
            attached: self.arrival.attached().clone(),
            budget: self.arrival.budget().cloned(),
            said: self.arrival.take_said(),
            admitted,
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(leaves) = self.leaves.take() {
            // Set once: it goes away once.
            let _ = leaves.set(self.arrived(Ok(Vec::new())));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Whether it finds out who somebody is.
fn proves(admission: &dyn Admission) -> bool {
    admission.phase() == Phase::Security
}

async fn ask_all(
    admissions: &[Box<dyn Admission>],
    provers: usize,
    caller: &mut Caller<'_>,
) -> Result<Vec<Pass>, Refusal> {
    let mut passes = Vec::with_capacity(admissions.len());
    for (place, admission) in admissions.iter().enumerate() {
        let arrival = &mut caller.arrival;
        let org = arrival.identity().org_id();
        // An admission may panic before it has made its future, too.
        let asked = AssertUnwindSafe(async { admission.admit(arrival).await }).catch_unwind();
        let answer = asked.await.unwrap_or_else(|payload| {
            let message = format!("it panicked: {}", panic_message(payload));
            caller.arrival.audit(panicked(&**admission, org));
            Err(Refusal::new(RefusalKind::Undecided, message))
        });
        // Whoever may not do something is known all the same.
        let known = match &answer {
            Ok(_) => true,
            Err(refusal) => refusal.kind() == RefusalKind::Forbidden,
        };
        caller.proved |= known && place + 1 == provers;
        passes.push(answer.map_err(|refusal| refusal.by(admission.name()))?);
    }
    Ok(passes)
}

/// What is told of an admission that had no answer: it cannot say it itself.
#[cold]
fn panicked(admission: &dyn Admission, asked: Option<OrgId>) -> AuditNotice {
    let (area, what) = match proves(admission) {
        true => (AuditArea::Auth, "failure"),
        false => (AuditArea::Tenant, "refused"),
    };
    let told = json!({
        "reason": "panicked", "code": "SF0414", "admission": admission.name(), "asked_org": asked,
    });
    AuditNotice::new(area, what, told)
}
