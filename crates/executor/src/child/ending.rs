//! What the ending of a child is for the stage that started it.

use stageflow_context::{CancelReason, StageCx, StageError, StageErrorKind, Stop, StopKind};

use crate::{RunError, RunErrorKind};

/// The child's ending as the stage's own.
pub(super) fn stop(error: RunError, cx: &StageCx) -> Stop {
    let ended = |kind, error: RunError| {
        StopKind::Ended(StageError::new(
            cx.stage().clone(),
            cx.attempt(),
            kind,
            error,
        ))
        .into()
    };
    match error.kind().clone() {
        RunErrorKind::Cancelled(reason) => cancelled(reason),
        RunErrorKind::Denied(_) => ended(StageErrorKind::Denied, error),
        RunErrorKind::Failed(cause) => StopKind::Fail {
            class: cause.class(),
            source: error.into(),
        }
        .into(),
        RunErrorKind::NotAdmitted(_) | RunErrorKind::Refused(_) | RunErrorKind::Undecidable(_) => {
            Stop::fail(error)
        }
        RunErrorKind::Skipped { reason, .. } => Stop::skip(reason),
        RunErrorKind::TimedOut(CancelReason::DeadlineElapsed(limit)) => {
            ended(StageErrorKind::TimedOut(limit), error)
        }
        RunErrorKind::TimedOut(_) => Stop::transient(error),
    }
}

fn cancelled(reason: CancelReason) -> Stop {
    match reason {
        CancelReason::ParentStopped(reason) => StopKind::Interrupted((*reason).clone()).into(),
        CancelReason::Shutdown => StopKind::Interrupted(CancelReason::Shutdown).into(),
        // It cancelled itself, and takes its parent with it.
        CancelReason::Requested(reason) | CancelReason::StageAsked { reason, .. } => {
            Stop::cancel(&*reason)
        }
        other => Stop::cancel(other.to_string()),
    }
}
