//! Where the time of a stage went.

use std::time::Duration;

use crate::{RunStory, StageStory};

/// The time of a stage in microseconds, split so that nothing is left over: `queue + run + retry = total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) queue: u64,
    pub(super) run: u64,
    pub(super) retry: u64,
    pub(super) total: u64,
}

impl Times {
    /// From when the last stage that it waited for had ended. A stage that has not ended is taken as far as its run has come.
    pub(super) fn of(run: &RunStory, stage: &StageStory) -> Self {
        if stage.attempts.is_empty() && stage.answered.is_none() {
            // Skipped, resolved, or its turn never came: it took no time of its own.
            return Self::default();
        }
        // Each moment is cut to microseconds once, so that the differences add up.
        let ready = micros(run.ready(stage).unwrap_or_default());
        let end = micros(stage.ended().unwrap_or(run.last)).max(ready);
        let clamped = |at: Option<Duration>| at.map_or(end, micros).clamp(ready, end);
        let first = clamped(stage.started());
        let last = stage.attempts.last();
        let last_start = clamped(last.and_then(|attempt| attempt.started)).max(first);
        let last_end = clamped(last.and_then(|attempt| attempt.ended)).max(last_start);
        let (queue, run, total) = (first - ready, last_end - last_start, end - ready);
        Self {
            queue,
            run,
            retry: total - queue - run,
            total,
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
