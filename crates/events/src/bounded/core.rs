//! The queue with its lock: every step takes it once, and does with it released whatever runs code that is not ours.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::bounded::after::{After, OnDrop};
use crate::bounded::flow::{Settled, Taken};
use crate::bounded::marks::Mark;
use crate::bounded::shelf::Shelf;
use crate::bounded::state::{Closer, Limits, Patience, Phase, State};
use crate::bounded::sync::{Mutex, MutexGuard};
use crate::bounded::{BoundedCounts, Flushed, Health, LossCount, LossReason, Stopping};
use crate::{Batch, Entry, Receipt, SpillError};

/// Shared by the handles and the pump. It knows no runtime.
pub(super) struct Core {
    state: Mutex<State>,
    on_drop: Option<Box<OnDrop>>,
}

/// What the pump has to do next.
pub(super) enum Work {
    Deliver(Delivery),
    /// Flush the exporter; everything before this ticket is settled.
    Flush(u64),
    /// What is on disk cannot be read just now.
    Trouble(SpillError),
    /// There is nothing left, and nothing will come: flush and end.
    Last,
    /// It is over.
    End,
}

/// Entries on their way out, and the marks among them.
pub(super) struct Delivery {
    pub(super) entries: Arc<Vec<Entry>>,
    pub(super) marks: Vec<(usize, Mark)>,
}

impl Core {
    pub(super) fn new(
        limits: Limits,
        shelf: Option<Box<dyn Shelf>>,
        on_drop: Option<Box<OnDrop>>,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(limits, shelf)),
            on_drop,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between two steps of the state can panic, so it is whole even if somebody panicked elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody is told of losses.
    pub(super) fn is_listened_to(&self) -> bool {
        self.on_drop.is_some()
    }

    #[inline]
    pub(super) fn with<R>(&self, step: impl FnOnce(&mut State, &mut After) -> R) -> R {
        let mut after = After::new(self.on_drop.as_deref());
        let result = step(&mut self.lock(), &mut after);
        after.run(self.on_drop.as_deref());
        result
    }

    pub(super) fn offer(&self, mut batch: Batch) -> Receipt {
        let mut receipt = Receipt::default();
        self.with(|state, after| {
            state.take_in(&mut batch, 0, Patience::Nobody, &mut receipt, after);
        });
        receipt
    }

    /// The receipt, or a number to wait under.
    pub(super) fn offer_or_wait(&self, batch: Batch, patience: Patience) -> Result<Receipt, u64> {
        let served = self.with(|state, after| state.take_or_wait(batch, patience, after));
        served.map(|waiter| waiter.receipt)
    }

    pub(super) fn poll_waiter(&self, id: u64, cx: &Context<'_>) -> Poll<Receipt> {
        let served = self.with(|state, after| state.poll_waiter(id, cx.waker(), after));
        served.map_or(Poll::Pending, |waiter| Poll::Ready(waiter.receipt))
    }

    pub(super) fn give_up(&self, id: u64, reason: LossReason) -> Receipt {
        let waiter = self.with(|state, after| state.give_up(id, reason, after));
        waiter.map(|waiter| waiter.receipt).unwrap_or_default()
    }

    pub(super) fn counts(&self) -> BoundedCounts {
        let state = self.lock();
        let sums = state.sums;
        BoundedCounts {
            offered: sums.offered,
            accepted: sums.accepted,
            dropped: sums.dropped,
            delivered: sums.delivered,
            failed: sums.failed,
            discarded: sums.discarded,
            queued: state.held as u64 + state.on_disk(),
            on_disk: state.on_disk(),
            markers: sums.markers,
        }
    }

    pub(super) fn losses(&self) -> Vec<LossCount> {
        self.with(|state, after| {
            state.ledger.fold(after);
            state.ledger.rows()
        })
    }

    pub(super) fn health(&self) -> Health {
        self.lock().health.clone()
    }

    pub(super) fn set_health(&self, health: Health) {
        self.lock().health = health;
    }

    /// What the pump has to do next; it is woken when there is something.
    pub(super) fn poll_work(&self, most: usize, cx: &Context<'_>) -> Poll<Work> {
        let work = self.with(|state, after| match state.phase {
            Phase::Ended => Some(Ok(Work::End)),
            _ if state.flush_due().is_some() => {
                Some(Ok(Work::Flush(state.flush_due().unwrap_or_default())))
            }
            _ if state.has_work() => Some(
                state
                    .take(most, after)
                    .map_or_else(|error| Ok(Work::Trouble(error)), Err),
            ),
            Phase::Closing(_) => Some(Ok(Work::Last)),
            Phase::Open => {
                let old = state.pump.replace((cx.waker().clone(), 1));
                after.drop_waker(old.map(|(old, _)| old));
                None
            }
        });
        match work {
            None => Poll::Pending,
            Some(Ok(work)) => Poll::Ready(work),
            Some(Err(taken)) => Poll::Ready(self.write_marks(taken)),
        }
    }

    fn write_marks(&self, Taken { entries, marks }: Taken) -> Work {
        if marks.is_empty() {
            return Work::Deliver(Delivery { entries, marks });
        }
        // The places of the marks can be filled only while nobody shares the entries.
        drop(entries);
        let written: Vec<_> = marks
            .iter()
            .map(|(at, mark)| (*at, mark.record()))
            .collect();
        let entries = self.with(|state, _| {
            state.fill_in(written);
            let in_flight = state.in_flight.as_ref()?;
            Some(Arc::clone(&in_flight.entries))
        });
        entries.map_or(Work::End, |entries| {
            Work::Deliver(Delivery { entries, marks })
        })
    }

    /// Ready when so many events are queued, or when there is no reason to wait for more.
    pub(super) fn poll_gathered(&self, want: usize, cx: &Context<'_>) -> Poll<()> {
        self.with(|state, after| {
            if state.is_gathered(want) {
                return Poll::Ready(());
            }
            let old = state.pump.replace((cx.waker().clone(), want));
            after.drop_waker(old.map(|(old, _)| old));
            Poll::Pending
        })
    }

    pub(super) fn settle(&self, settled: Settled, delivery: Delivery) {
        let batch = self.with(|state, after| state.settle(settled, &delivery.marks, after));
        drop((batch, delivery));
    }

    pub(super) fn close(&self, closer: Closer, stopping: Stopping) {
        self.with(|state, after| state.close(closer, stopping, after));
    }

    pub(super) fn end(&self) {
        drop(self.with(|state, after| state.end(after)));
    }

    /// For whoever stops the sink.
    pub(super) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.phase == Phase::Ended {
            return Poll::Ready(());
        }
        state.watch(cx.waker());
        Poll::Pending
    }

    /// For the pump: ready when somebody has ended the sink.
    pub(super) fn poll_stopped(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_phase(cx, 0, |phase| phase == Phase::Ended)
    }

    /// For the pump: ready when the last handle is gone.
    pub(super) fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_phase(cx, 1, |phase| phase == Phase::Closing(Closer::LastDrop))
    }

    fn poll_phase(
        &self,
        cx: &Context<'_>,
        slot: usize,
        is_it: impl FnOnce(Phase) -> bool,
    ) -> Poll<()> {
        self.with(|state, after| {
            if is_it(state.phase) {
                return Poll::Ready(());
            }
            let watch = &mut state.pump_watch[slot];
            if !watch.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
                after.drop_waker(watch.replace(cx.waker().clone()));
            }
            Poll::Pending
        })
    }

    pub(super) fn ask_for_flush(&self) -> u64 {
        self.with(|state, after| state.ask_for_flush(after))
    }

    pub(super) fn poll_flush(&self, id: u64, cx: &Context<'_>) -> Poll<Flushed> {
        self.with(|state, after| match state.flush_result(id) {
            Some(result) => Poll::Ready(result),
            None => {
                after.drop_waker(state.watch_flush(id, cx.waker()));
                Poll::Pending
            }
        })
    }

    pub(super) fn forget_flush(&self, id: u64) {
        self.lock().forget_flush(id);
    }

    pub(super) fn not_yet(&self) -> Flushed {
        self.lock().not_yet()
    }

    pub(super) fn flushed(&self, up_to: u64, result: Flushed) {
        self.with(|state, after| state.flushed(up_to, result, after));
    }
}
