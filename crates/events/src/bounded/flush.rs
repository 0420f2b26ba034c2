//! Who waits until what was accepted before is settled.

use std::task::Waker;

use crate::bounded::Flushed;
use crate::bounded::after::After;
use crate::bounded::state::{Phase, State};

/// Flushes that were asked for. Each belongs to a future that takes it out again.
#[derive(Default)]
pub(super) struct Flushes {
    asked: Vec<Flush>,
    next_id: u64,
}

struct Flush {
    id: u64,
    /// All tickets before this one.
    target: u64,
    result: Option<Flushed>,
    waker: Option<Waker>,
}

impl Flushes {
    /// Whether one is not done yet.
    pub(super) fn is_any_open(&self) -> bool {
        self.asked.iter().any(|flush| flush.result.is_none())
    }
}

impl State {
    pub(super) fn ask_for_flush(&mut self, after: &mut After) -> u64 {
        let id = self.flushes.next_id;
        self.flushes.next_id += 1;
        self.flushes.asked.push(Flush {
            id,
            target: self.next_ticket,
            result: None,
            waker: None,
        });
        if let Some((waker, _)) = self.pump.take() {
            after.wake(waker);
        }
        id
    }

    /// The oldest ticket that is not settled.
    fn oldest(&self) -> u64 {
        let in_flight = self.in_flight.as_ref().map(|batch| batch.first_ticket);
        let held = in_flight.into_iter().chain(self.lanes.front());
        held.chain(self.disk_ticket())
            .min()
            .unwrap_or(self.next_ticket)
    }

    /// All tickets before this one are settled, and somebody waits to hear that it is flushed.
    pub(super) fn flush_due(&self) -> Option<u64> {
        let oldest = self.oldest();
        let open = self.flushes.asked.iter();
        let mut due = open.filter(|flush| flush.result.is_none() && flush.target <= oldest);
        due.next().map(|_| oldest)
    }

    /// The exporter has flushed, or could not.
    pub(super) fn flushed(&mut self, up_to: u64, result: Flushed, after: &mut After) {
        for flush in &mut self.flushes.asked {
            if flush.result.is_none() && flush.target <= up_to {
                flush.result = Some(result);
                if let Some(waker) = flush.waker.take() {
                    after.wake(waker);
                }
            }
        }
    }

    /// Has this task woken when the flush is over, instead of another one.
    pub(super) fn watch_flush(&mut self, id: u64, waker: &Waker) -> Option<Waker> {
        let flush = self.flushes.asked.iter_mut().find(|flush| flush.id == id)?;
        flush.waker.replace(waker.clone())
    }

    /// Wakes all who wait for a flush.
    pub(super) fn wake_flushes(&mut self, after: &mut After) {
        for flush in &mut self.flushes.asked {
            if let Some(waker) = flush.waker.take() {
                after.wake(waker);
            }
        }
    }

    /// What came of this flush, if it is over.
    pub(super) fn flush_result(&self, id: u64) -> Option<Flushed> {
        let flush = self.flushes.asked.iter().find(|flush| flush.id == id)?;
        let ended = || self.phase == Phase::Ended;
        flush.result.or_else(|| ended().then(|| self.not_yet()))
    }

    pub(super) fn not_yet(&self) -> Flushed {
        Flushed::NotYet {
            queued: self.held as u64 + self.on_disk(),
        }
    }

    pub(super) fn forget_flush(&mut self, id: u64) {
        self.flushes.asked.retain(|flush| flush.id != id);
    }
}
