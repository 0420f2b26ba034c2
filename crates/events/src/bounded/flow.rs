//! What the pump does to the state: it takes what is next, and says what became of it.

use std::sync::Arc;

use crate::bounded::after::After;
use crate::bounded::lanes::Slot;
use crate::bounded::ledger::Lost;
use crate::bounded::marks::Mark;
use crate::bounded::state::{Closer, InFlight, Phase, State};
use crate::bounded::{LossReason, Stopping};
use crate::{Entry, EventRecord};

/// Some entries on their way out. Marks are written down with the lock released; until then their places are held by others.
pub(super) struct Taken {
    pub(super) marks: Vec<(usize, Mark)>,
}

/// What became of what was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Delivered,
    /// So many of them, the last ones, were not taken.
    Refused(u64),
    /// None was taken.
    Failed(LossReason),
}

impl State {
    /// Whether there is something to deliver.
    pub(super) fn has_work(&self) -> bool {
        self.lanes.len() > 0 || (self.ledger.has_marks() && !self.is_failing)
    }

    /// Takes up to `most` events, the oldest first, with marks where something is missing before them.
    pub(super) fn take(&mut self, most: usize, after: &mut After) -> Taken {
        self.ledger.fold(after);
        let count = most.min(self.lanes.len());
        let (mut entries, mut marks) = (Vec::with_capacity(count), Vec::new());
        let (mut first_ticket, mut bytes) = (self.next_ticket, 0);
        for _ in 0..count {
            let Some(slot) = self.lanes.pop() else { break };
            first_ticket = first_ticket.min(slot.ticket);
            bytes += slot.bytes;
            if let Some(mark) = self.mark_before(&slot.entry) {
                marks.push((entries.len(), mark));
                entries.push(self.ledger.blank());
            }
            entries.push(slot.entry);
        }
        let events = entries.len() - marks.len();
        while self.lanes.len() == 0 {
            let Some(mark) = self.ledger.marks.pop() else {
                break;
            };
            marks.push((entries.len(), mark));
            entries.push(self.ledger.blank());
        }
        self.in_flight = Some(InFlight {
            entries: Arc::new(entries),
            first_ticket,
            events,
            bytes,
        });
        Taken { marks }
    }

    fn mark_before(&mut self, entry: &Entry) -> Option<Mark> {
        match entry {
            Entry::Event(run, event) if !self.ledger.marks.is_empty() => {
                self.ledger.marks.due_before(run, event.seq())
            }
            _ => None,
        }
    }

    /// Puts the marks in their places. The entries are not shared yet.
    pub(super) fn fill_in(&mut self, marks: Vec<(usize, EventRecord)>) {
        let Some(in_flight) = &mut self.in_flight else {
            return;
        };
        if let Some(entries) = Arc::get_mut(&mut in_flight.entries) {
            for (at, record) in marks {
                entries[at] = Entry::Record(Arc::new(record));
            }
        }
    }

    /// Counts what was in flight, and lets others have its room. `marks` are those among it.
    pub(super) fn settle(
        &mut self,
        settled: Settled,
        marks: &[(usize, Mark)],
        after: &mut After,
    ) -> Option<InFlight> {
        self.is_failing = settled != Settled::Delivered;
        // Whoever ended the sink meanwhile has counted it.
        let batch = self.in_flight.take()?;
        let events = batch.events as u64;
        self.held -= batch.events;
        self.held_bytes -= batch.bytes;
        let (lost, reason) = match settled {
            Settled::Delivered => (0, LossReason::Refused),
            Settled::Refused(count) => (count.min(events), LossReason::Refused),
            Settled::Failed(reason) => (events, reason),
        };
        self.sums.delivered += events - lost;
        self.sums.failed += lost;
        self.lose_last(&batch, lost, reason, after);
        if let Settled::Failed(_) = settled {
            for (_, mark) in marks {
                self.ledger.marks.put_back(mark);
            }
        } else {
            self.sums.markers += marks.len() as u64;
        }
        self.serve(after);
        Some(batch)
    }

    /// Enters the last so many events of the batch as lost, in their order.
    fn lose_last(&mut self, batch: &InFlight, count: u64, reason: LossReason, after: &mut After) {
        let events = batch.entries.iter().filter(|entry| !is_own(entry));
        for entry in events.skip(batch.events - count as usize) {
            self.ledger.lose(&Lost::entry(entry), reason, after);
        }
    }

    /// Takes nothing any more.
    pub(super) fn close(&mut self, closer: Closer, stopping: Stopping, after: &mut After) {
        if self.phase == Phase::Ended {
            return;
        }
        self.phase = Phase::Closing(closer);
        if stopping == Stopping::Discard {
            self.discard_queue(after);
        }
        self.turn_away(after);
        // Marks get one more chance to go out.
        self.is_failing = false;
        self.wake_all(after);
    }

    fn discard_queue(&mut self, after: &mut After) {
        while let Some(slot) = self.lanes.pop() {
            self.let_go(slot, LossReason::Shutdown, after);
        }
    }

    /// Ends it here and now: whatever is held is discarded, what is being delivered, too.
    pub(super) fn end(&mut self, after: &mut After) -> Option<InFlight> {
        if self.phase == Phase::Ended {
            return None;
        }
        self.phase = Phase::Ended;
        let in_flight = self.in_flight.take();
        if let Some(batch) = &in_flight {
            self.held -= batch.events;
            self.held_bytes -= batch.bytes;
            self.sums.discarded += batch.events as u64;
            self.lose_last(batch, batch.events as u64, LossReason::Shutdown, after);
        }
        self.discard_queue(after);
        self.turn_away(after);
        self.wake_all(after);
        in_flight
    }

    /// Gives up an event that was held in a lane.
    pub(super) fn let_go(&mut self, slot: Slot, reason: LossReason, after: &mut After) {
        self.held -= 1;
        self.held_bytes -= slot.bytes;
        self.sums.discarded += 1;
        self.ledger.lose(&Lost::entry(&slot.entry), reason, after);
        after.drop_entry(slot.entry);
    }
}

/// Whether a sink made this itself.
fn is_own(entry: &Entry) -> bool {
    matches!(entry, Entry::Record(record) if record.kind == "telemetry.dropped")
}
