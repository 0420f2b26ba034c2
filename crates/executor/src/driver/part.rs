//! Parts of a stage: a call of their own, with the engine's layers around it.

use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow_context::{
    DynValue, Outcome, Part, PartCall, PartFuture, StageError, StageErrorKind, StageIndex, Stop,
    StopKind,
};
use stageflow_events::PartEnded;
use stageflow_interceptors::{Call, CallState, Ending};
use tokio::task::coop;

use super::Driver;
use super::site::{Attempts, Site};
use crate::shared::{RunShared, What};
use crate::slots::acquire_for_part;

impl Driver<'_> {
    /// Whether the layers are around its parts, and nothing is around the stage as a whole.
    #[inline]
    pub(super) fn is_called_in_parts(&self, stage: u32) -> bool {
        self.plan.shape(stage as usize).is_called_in_parts()
    }

    /// Whether layers that may wait are around the stage.
    #[inline]
    pub(super) fn waits(&self, stage: u32) -> bool {
        self.shared.waits(stage)
    }
}

/// Carries out a part of a stage's work.
pub(crate) fn carry_out<'a>(shared: &'a RunShared, call: PartCall<'a>) -> PartFuture<'a> {
    match call.cx.part().cloned() {
        // Not a part of anything: the stage itself, which has its call already.
        None => (call.work)(call.cx),
        Some(part) => Box::pin(carried_out(shared, part, call)),
    }
}

async fn carried_out(
    shared: &RunShared,
    part: Arc<Part>,
    part_call: PartCall<'_>,
) -> Result<DynValue, Stop> {
    // A stage of many short parts lets others have their turn, and the driver hear what was said.
    coop::consume_budget().await;
    if let Some(reason) = shared.cancel.reason() {
        return Err(StopKind::Interrupted(reason.clone()).into());
    }
    let stage = part_call.cx.index();
    let _units = acquire_for_part(shared, stage, &part).await;
    let mut counted = Counted {
        shared,
        stage,
        part: &part,
        ending: None,
    };
    shared.book().started(stage, &part);
    let ending = through_layers(shared, &part, &part_call).await;
    counted.ending = Some((ending.outcome(), ending.error().cloned()));
    drop(counted);
    ending.into_result()
}

/// The layers around the part, and its attempts inside them.
async fn through_layers(shared: &RunShared, part: &Arc<Part>, part_call: &PartCall<'_>) -> Ending {
    let cx = &part_call.cx;
    let (stage, host) = (cx.index(), cx.host());
    let start = |attempt: NonZeroU32| {
        let cx = cx.clone().of_part(Some(Arc::clone(part)), attempt);
        Ok((part_call.work)(cx))
    };
    let site = Site {
        shared,
        stage,
        part: Some(part),
        // The driver looks at the stage as a whole.
        blocking_threshold: None,
        light: None,
    };
    let attempts = Attempts::new(site, &start);
    let stack = shared.stack(stage.get());
    let mut state = CallState::of_part(part_call);
    let mut call = Call::new(host, &shared.plan, stage, NonZeroU32::MIN, &mut state);
    if stack.is_empty() {
        let ending = attempts.once(&mut call).await;
        return checked(&call, ending);
    }
    let ending = stack.call_whole(&mut call, &attempts).await;
    let ending = checked(&call, ending);
    let outcome = ending.outcome();
    if attempts.last() != Some(outcome) {
        // A layer answered, refused, or made something else of the last attempt.
        let (attempt, error) = (attempts.count(), ending.error().cloned());
        let ended = PartEnded::new(stage, Arc::clone(part), attempt, outcome, error);
        shared.say(stage, attempt, What::PartAnswered(Box::new(ended)));
    }
    ending
}

/// A value that a layer put in must be of the part's type: the stage relies on it.
fn checked(call: &Call<'_>, ending: Ending) -> Ending {
    match ending {
        Ending::Succeeded(value) if value.type_id_of_value() != call.value_type() => {
            let wanted = call.value_type_name();
            let reason = format!("a layer made it a value that is not a `{wanted}`");
            Ending::Failed(call.error(StageErrorKind::WrongAnswer, reason))
        }
        ending => ending,
    }
}

/// Counts how a part ended, also if its future is dropped.
struct Counted<'a> {
    shared: &'a RunShared,
    stage: StageIndex,
    part: &'a Arc<Part>,
    ending: Option<(Outcome, Option<StageError>)>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let (outcome, error) = self.ending.take().unwrap_or((Outcome::Cancelled, None));
        self.shared
            .book()
            .ended(self.stage, self.part, outcome, error);
    }
}
