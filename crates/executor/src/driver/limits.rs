//! Limits: when they pass, and the signs of life that put them off.

use std::task::Context;

use stageflow_context::{StageError, StageErrorKind};
use stageflow_interceptors::Ending;

use super::{Driver, at_least_one};
use crate::machine::{Input, Limit};

impl Driver<'_> {
    /// Whether the stage gave a sign of life since its idle limit was armed, which is armed anew from there.
    pub(super) fn beat_since(&mut self, stage: u32, limit: Limit) -> bool {
        let Limit::Idle { since, limit } = limit else {
            return false;
        };
        let beat = self.shared.last_beat(stage).filter(|at| *at > since);
        if let Some(at) = beat {
            let beat = Input::Beat {
                stage,
                at,
                idle: limit,
            };
            self.machine.on(beat, self.now);
        }
        beat.is_some()
    }

    /// Arms the timer for the next limit. `true` if one has passed.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.machine.next_timer() else {
            self.sleep = None;
            return false;
        };
        let when = self.shared.started + at.elapsed();
        match &mut self.sleep {
            Some((armed, _)) if *armed == at => {}
            Some((armed, sleep)) => {
                *armed = at;
                sleep.as_mut().reset(when);
            }
            none => *none = Some((at, Box::pin(tokio::time::sleep_until(when)))),
        }
        let Some((_, sleep)) = &mut self.sleep else {
            return false;
        };
        if sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.sleep = None;
        // The timer's clock is coarser than the machine's: what it says has passed has passed.
        self.now = self.shared.now().max(at);
        self.machine.on(Input::Tick, self.now);
        true
    }

    /// A limit of a stage has passed, unless the stage gave a sign of life the machine does not know of.
    pub(super) fn expire(&mut self, stage: u32, limit: Limit) {
        let kind = match limit {
            Limit::Attempt(limit) => StageErrorKind::TimedOut(limit),
            Limit::Grace(_) => return self.end_grace(stage),
            Limit::Idle { limit, .. } => StageErrorKind::IdleTimedOut(limit),
        };
        if self.beat_since(stage, limit) {
            return;
        }
        let record = self.data.records[stage as usize];
        // What has ended by now has ended in time: as with `tokio::time::timeout`, the work has its turn first. So has a sign
        // of life that it gives now.
        if self.poll_place(record.place) || self.beat_since(stage, limit) {
            return;
        }
        let error = StageError::bare(
            self.name(stage).clone(),
            at_least_one(record.attempts),
            kind,
        );
        self.stop(record.place, Ending::Failed(error));
    }
}
