//! Signs of life, and the limit of silence.

use super::Driver;
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
}
