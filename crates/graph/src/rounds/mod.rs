//! Loops that end: a stage, or a writer and a guard, called again and again.

mod correct;
mod repeat;

pub use correct::{Correct, CorrectLoop, Review, Revision, correct};
pub use repeat::{Repeat, RepeatLoop, RepeatUntil, repeat};

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use stageflow_context::{LoopEnd, StageCx, StageError, StageErrorKind, Stop, StopKind};
use tokio::time::{Instant, timeout_at};

use crate::Shape;

/// What bounds a loop.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    at_most: NonZeroU32,
    within: Option<Duration>,
}

impl Bounds {
    fn rounds(self) -> std::ops::RangeInclusive<u32> {
        1..=self.at_most.get()
    }

    fn shape(self) -> Shape {
        Shape::Loop {
            at_most: self.at_most,
            within: self.within,
        }
    }

    /// The clock starts.
    fn start(self, cx: &StageCx) -> Clock<'_> {
        Clock {
            cx,
            bounds: self,
            started: Instant::now(),
        }
    }
}

/// The time a loop has.
struct Clock<'a> {
    cx: &'a StageCx,
    bounds: Bounds,
    started: Instant,
}

impl Clock<'_> {
    /// Work of a round, stopped when the loop has no time left.
    async fn limit<T>(
        &self,
        round: u32,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        let deadline = self
            .bounds
            .within
            .and_then(|limit| Some((limit, self.started.checked_add(limit)?)));
        let Some((limit, deadline)) = deadline else {
            return work.await;
        };
        match timeout_at(deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(self.ended(round, LoopEnd::Time(limit))),
        }
    }

    /// The loop ends without a result.
    fn ended(&self, rounds: u32, why: LoopEnd) -> Stop {
        let kind = StageErrorKind::LoopEnded { rounds, why };
        let error = StageError::bare(self.cx.stage().clone(), self.cx.attempt(), kind);
        StopKind::Ended(match self.cx.part() {
            None => error,
            Some(part) => error.in_part(Arc::clone(part)),
        })
        .into()
    }

    /// No round is left.
    fn used_up(&self) -> Stop {
        self.ended(self.bounds.at_most.get(), LoopEnd::Rounds)
    }
}

type Fingerprint = [u8; 32];

/// How a value is told from the one before, if it is.
type Marked<T> = Option<fn(&T) -> Result<Fingerprint, serde_json::Error>>;

/// Equal for values with the same JSON, whatever the order of their maps.
fn fingerprint<T: Serialize>(value: &T) -> Result<Fingerprint, serde_json::Error> {
    let mut json = serde_json::to_value(value)?;
    json.sort_all_objects();
    Ok(Sha256::digest(json.to_string()).into())
}

/// Looks out for two values running that are the same.
struct Watch<T> {
    mark: Marked<T>,
    last: Option<Fingerprint>,
}

impl<T> Watch<T> {
    fn new(mark: Marked<T>) -> Self {
        Self { mark, last: None }
    }

    /// Whether the value is the same as the one before.
    fn sees_again(&mut self, value: &T) -> Result<bool, Stop> {
        let Some(mark) = self.mark else {
            return Ok(false);
        };
        let seen = Some(mark(value)?);
        let again = seen == self.last;
        self.last = seen;
        Ok(again)
    }
}
