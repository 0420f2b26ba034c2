//! Waiting in a stage's place, within the limits of its attempts.

use std::future::pending;
use std::time::Duration;

use stageflow_context::StageErrorKind;
use tokio::time::sleep;

use crate::Limits;

/// Waits so long, or until a limit ends the attempt: then it says which. Nothing is held meanwhile.
pub(super) async fn wait(limits: Limits, wait: Duration) -> Result<(), StageErrorKind> {
    match first(limits).filter(|(limit, _)| *limit <= wait) {
        None => {
            sleep(wait).await;
            Ok(())
        }
        Some((limit, kind)) => {
            sleep(limit).await;
            Err(kind)
        }
    }
}

/// Waits until a limit ends the attempt. Without one it does not come back.
pub(super) async fn hang(limits: Limits) -> StageErrorKind {
    match first(limits) {
        None => pending().await,
        Some((limit, kind)) => {
            sleep(limit).await;
            kind
        }
    }
}

/// What is left of the limits after so long.
pub(super) fn left(limits: Limits, waited: Duration) -> Limits {
    Limits {
        attempt: limits.attempt.map(|limit| limit.saturating_sub(waited)),
        ..limits
    }
}

/// The limit that ends an attempt which gives no sign of life.
fn first(limits: Limits) -> Option<(Duration, StageErrorKind)> {
    let total = limits
        .attempt
        .map(|limit| (limit, StageErrorKind::TimedOut(limit)));
    let idle = limits
        .idle
        .map(|limit| (limit, StageErrorKind::IdleTimedOut(limit)));
    total.into_iter().chain(idle).min_by_key(|(at, _)| *at)
}
