//! The door: who may run is asked before anything of a run starts.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
use stageflow_context::{Attached, AuditNotice, Budget, Credentials, RunHost as _, RunIdentity};
use stageflow_interceptors::{
    Admission, Arrival, Pass, Phase, Refusal, RefusalKind, panic_message,
};
use tokio::time::{Instant, sleep_until};

use crate::settings::RunOptions;
use crate::shared::RunShared;

/// A run at the door: what it waits for before it begins.
pub(crate) type Door = BoxFuture<'static, Arrived>;

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
    Box::pin(async move {
        let mut arrival = Arrival::new(run.plan.name(), run.identity().clone())
            .with_credentials(shown.credentials.as_ref())
            .with_attached(run.attached().cloned().unwrap_or_default())
            .with_budget(shown.budget)
            .with_deadline(due)
            .with_weight(run.weight());
        let admissions = &run.engine.admissions;
        // They are sorted by phase: those that find out who somebody is come first.
        let provers = admissions.partition_point(|admission| proves(&**admission));
        let mut proved = provers == 0;
        let admitted = {
            let (told, late) = (pin!(run.cancel.cancelled()), pin!(until(due)));
            let asked = pin!(ask_all(admissions, provers, &mut arrival, &mut proved));
            // Who is both let in and told to stop is told to stop.
            match select(select(told, late), asked).await {
                Either::Left(_) => Ok(Vec::new()),
                Either::Right((admitted, _)) => admitted,
            }
        };
        if !proved {
            arrival.disown();
        }
        let (identity, attached, budget, said) = arrival.into_parts();
        Arrived {
            identity,
            attached,
            budget,
            said,
            admitted,
        }
    })
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
    arrival: &mut Arrival<'_>,
    proved: &mut bool,
) -> Result<Vec<Pass>, Refusal> {
    let mut passes = Vec::with_capacity(admissions.len());
    for (place, admission) in admissions.iter().enumerate() {
        let asked = AssertUnwindSafe(admission.admit(arrival)).catch_unwind();
        let answer = asked.await.unwrap_or_else(|payload| {
            let message = format!("it panicked: {}", panic_message(payload));
            Err(Refusal::new(RefusalKind::Undecided, message))
        });
        // Whoever may not do something is known all the same.
        let known = match &answer {
            Ok(_) => true,
            Err(refusal) => refusal.kind() == RefusalKind::Forbidden,
        };
        *proved |= known && place + 1 == provers;
        passes.push(answer.map_err(|refusal| refusal.by(admission.name()))?);
    }
    Ok(passes)
}
