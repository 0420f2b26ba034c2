//! Stages that wait for something that other runs have.

use std::collections::VecDeque;

use super::{Input, READY, RUNNING, RunMachine, Verdict};

/// Stages that were to be started and were not.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// How many wait.
    waiting: usize,
    /// Those that had what they waited for when the run had no room, in this order.
    deferred: VecDeque<u32>,
}

impl RunMachine<'_> {
    /// Whether anybody waits. Those that were deferred do not: they start as soon as there is room.
    #[inline]
    pub(super) fn has_queue(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.waiting > 0)
    }

    /// Whether another stage may be started.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.running.saturating_sub(self.aside.len()) < self.width && self.verdict.is_none()
    }

    /// Nothing can be started: the run ends with this verdict before it begins.
    pub(crate) fn refuse(&mut self, verdict: Verdict) {
        self.stop(verdict);
    }

    /// The stage that is started next: of those that are ready, the one that became ready first.
    #[inline]
    pub(super) fn next_stage(&mut self) -> Option<u32> {
        if let Some(queue) = &mut self.queue
            && let Some(stage) = queue.deferred.pop_front()
        {
            return Some(stage);
        }
        let stage = self.ready.get(self.next_ready).copied()?;
        self.next_ready += 1;
        Some(stage)
    }

    pub(super) fn on_queue(&mut self, input: Input) {
        let queue = self.queue.get_or_insert_default();
        match input {
            Input::Queued { stage } if self.waiting[stage as usize] == RUNNING => {
                self.running -= 1;
                queue.waiting += 1;
                self.waiting[stage as usize] = READY;
            }
            Input::Admitted { stage } if queue.waiting > 0 => {
                queue.waiting -= 1;
                self.running += 1;
                self.waiting[stage as usize] = RUNNING;
            }
            Input::Deferred { stage } if queue.waiting > 0 => {
                queue.waiting -= 1;
                queue.deferred.push_back(stage);
            }
            Input::Withdrawn { .. } if queue.waiting > 0 => queue.waiting -= 1,
            _ => {}
        }
    }
}
