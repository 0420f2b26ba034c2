//! Who waits for room, in the order in which they came.

use std::collections::VecDeque;
use std::task::Waker;

use rustc_hash::FxHashMap;

use crate::bounded::LossReason;
use crate::bounded::after::After;
use crate::bounded::state::{Patience, State};
use crate::{Batch, Lane, Receipt};

/// Room is handed over, not fought for: whoever frees it puts in what the first in the row has, and so on.
#[derive(Default)]
pub(super) struct Waiting {
    row: VecDeque<Waiter>,
    /// Those that are served, until they ask.
    served: FxHashMap<u64, Waiter>,
    next_id: u64,
}

pub(super) struct Waiter {
    id: u64,
    pub(super) batch: Batch,
    /// The events before this one are settled.
    from: usize,
    patience: Patience,
    pub(super) receipt: Receipt,
    waker: Option<Waker>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.row.is_empty()
    }
}

impl State {
    /// Takes what it can of the batch, and gives a number to wait under if something has to wait.
    pub(super) fn take_or_wait(
        &mut self,
        mut batch: Batch,
        patience: Patience,
        after: &mut After,
    ) -> Result<Waiter, u64> {
        let mut receipt = Receipt::default();
        let from = if patience == Patience::Everybody && !self.waiting.is_empty() {
            0
        } else {
            self.take_in(&mut batch, 0, patience, &mut receipt, after)
        };
        let id = self.waiting.next_id;
        let waiter = Waiter {
            id,
            from,
            patience,
            receipt,
            waker: None,
            batch,
        };
        if waiter.from == waiter.batch.events.len() {
            return Ok(waiter);
        }
        self.waiting.next_id += 1;
        self.waiting.row.push_back(waiter);
        // Nothing gathers while somebody waits.
        self.wake_pump(after);
        Err(id)
    }

    /// Puts in what those who wait have, as far as there is room.
    pub(super) fn serve(&mut self, after: &mut After) {
        while let Some(mut waiter) = self.waiting.row.pop_front() {
            let Waiter {
                batch,
                from,
                patience,
                receipt,
                ..
            } = &mut waiter;
            *from = self.take_in(batch, *from, *patience, receipt, after);
            if *from < batch.events.len() {
                return self.waiting.row.push_front(waiter);
            }
            self.finish(waiter, after);
        }
    }

    fn finish(&mut self, mut waiter: Waiter, after: &mut After) {
        if let Some(waker) = waiter.waker.take() {
            after.wake(waker);
        }
        self.waiting.served.insert(waiter.id, waiter);
    }

    /// The one with this number, if it is served; otherwise it is woken when it is.
    pub(super) fn poll_waiter(
        &mut self,
        id: u64,
        waker: &Waker,
        after: &mut After,
    ) -> Option<Waiter> {
        if let Some(served) = self.waiting.served.remove(&id) {
            return Some(served);
        }
        let waiter = self.waiting.row.iter_mut().find(|waiter| waiter.id == id)?;
        after.drop_waker(waiter.waker.replace(waker.clone()));
        None
    }

    /// Ends the wait of this one: what has found no room by now is dropped.
    pub(super) fn give_up(
        &mut self,
        id: u64,
        reason: LossReason,
        after: &mut After,
    ) -> Option<Waiter> {
        if let Some(served) = self.waiting.served.remove(&id) {
            return Some(served);
        }
        let at = self.waiting.row.iter().position(|waiter| waiter.id == id)?;
        let mut waiter = self.waiting.row.remove(at)?;
        if reason.may_pass() {
            self.take_rest(&mut waiter, after);
        }
        self.refuse_rest(&mut waiter, reason, after);
        // The next in the row may wait for less than this one did.
        self.serve(after);
        Some(waiter)
    }

    /// Nobody waits any more: the sink is closed.
    pub(super) fn turn_away(&mut self, after: &mut After) {
        while let Some(mut waiter) = self.waiting.row.pop_front() {
            self.refuse_rest(&mut waiter, LossReason::Closed, after);
            self.finish(waiter, after);
        }
    }

    /// The wait is over: what the engine says may take the place of others now, and the rest is dropped.
    fn take_rest(&mut self, waiter: &mut Waiter, after: &mut After) {
        let Waiter {
            batch,
            from,
            receipt,
            ..
        } = waiter;
        *from = self.take_in(batch, *from, Patience::Nobody, receipt, after);
    }

    fn refuse_rest(&mut self, waiter: &mut Waiter, reason: LossReason, after: &mut After) {
        let Waiter {
            batch,
            from,
            receipt,
            ..
        } = waiter;
        for event in &batch.events[*from..] {
            let lane = Lane::of(event.kind());
            self.refuse(&batch.run, event, reason, after);
            receipt.dropped += 1;
            receipt.dropped_audit += u64::from(lane == Lane::Audit);
        }
        *from = batch.events.len();
    }
}
