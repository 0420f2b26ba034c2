//! One attempt to undo something.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use stageflow_context::{DynValue, Outcome, Stop, StopKind, UndoCx};
use stageflow_graph::StageUndo;
use stageflow_interceptors::panic_message;
use tokio::time::{Instant, timeout_at};

use crate::quiet::Quiet;

/// What came of an attempt.
pub(super) struct Tried {
    pub(super) outcome: Outcome,
    /// `None` if there is nothing left to undo.
    pub(super) error: Option<String>,
    /// The least time to wait before the next attempt.
    pub(super) wait: Duration,
}

impl Tried {
    fn of(outcome: Outcome, error: Option<String>) -> Self {
        Self {
            outcome,
            error,
            wait: Duration::ZERO,
        }
    }

    pub(super) fn succeeded() -> Self {
        Self::of(Outcome::Succeeded, None)
    }

    pub(super) fn failed(reason: String) -> Self {
        Self::of(Outcome::Failed, Some(reason))
    }

    /// There is no time left to try.
    pub(super) fn too_late() -> Self {
        let reason = "there was no time left to start it";
        Self::of(Outcome::TimedOut, Some(reason.to_owned()))
    }

    fn stopped(stop: Stop) -> Self {
        // A user's error is shown here: that may panic, and is caught with everything else.
        let told = stop.to_string();
        match stop.into_kind() {
            StopKind::Skip(_) => Self::of(Outcome::Skipped, None),
            StopKind::Retry {
                after: Some(wait), ..
            } => Self {
                wait,
                ..Self::failed(told)
            },
            _ => Self::failed(told),
        }
    }
}

/// Tries until `until`.
pub(super) async fn attempt(
    undo: &StageUndo,
    cx: UndoCx,
    value: DynValue,
    until: Instant,
) -> Tried {
    let undo = undo.clone();
    let work = Quiet::new(Box::pin(async move {
        match undo.start(cx, value).await {
            Ok(()) => Tried::succeeded(),
            Err(stop) => Tried::stopped(stop),
        }
    }));
    match timeout_at(until, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(tried)) => tried,
        Ok(Err(payload)) => Tried::failed(format!("it panicked: {}", panic_message(payload))),
        Err(_) => Tried::of(Outcome::TimedOut, Some("it did not end in time".to_owned())),
    }
}
