//! What the pump does to the state: it takes what is next, and says what became of it.

use std::sync::Arc;

use crate::bounded::after::After;
use crate::bounded::lanes::{Popped, Slot};
use crate::bounded::ledger::Lost;
use crate::bounded::marks::Mark;
use crate::bounded::state::{Closer, InFlight, Phase, State};
use crate::bounded::{LossReason, Stopping};
use crate::{Entry, EventRecord, SpillError};

/// Some entries on their way out. Marks are written down with the lock released; until then their places are held by others.
pub(super) struct Taken {
    pub(super) entries: Arc<Vec<Entry>>,
    pub(super) marks: Vec<(usize, Mark)>,
}

/// What became of what was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Delivered,
    /// So many of them, the last ones, were not taken.
    Refused(u64),
    /// None was taken, but for what was said to be.
    Failed(LossReason),
}

impl State {
    /// Whether there is something to deliver.
    pub(super) fn has_work(&self) -> bool {
        self.lanes.len() > 0
            || (self.on_disk() > 0 && !self.leaves_disk)
            || (self.ledger.has_marks() && !self.is_failing)
    }

    /// Takes up to `most` events, the oldest first, with marks where something is missing before them.
    pub(super) fn take(&mut self, most: usize, after: &mut After) -> Result<Taken, SpillError> {
        self.ledger.fold(after);
        let mut events = Vec::new();
        let Popped { first, bytes } = self.lanes.pop_into(most, &mut events);
        let mut first_ticket = first.unwrap_or(self.next_ticket);
        let is_from_disk = events.is_empty() && !self.leaves_disk;
        if is_from_disk {
            first_ticket = self.disk_ticket().unwrap_or(first_ticket);
            events = self.take_from_disk(most, after)?;
        }
        let count = events.len();
        let (entries, marks) = self.with_marks(events);
        let entries = Arc::new(entries);
        self.in_flight = Some(InFlight {
            entries: Arc::clone(&entries),
            first_ticket,
            events: count,
            bytes,
            is_from_disk,
            fates: Vec::new(),
        });
        Ok(Taken { entries, marks })
    }

    /// The events with places for marks between them, and after them if nothing else is left.
    fn with_marks(&mut self, events: Vec<Entry>) -> (Vec<Entry>, Vec<(usize, Mark)>) {
        if self.ledger.marks.is_empty() {
            return (events, Vec::new());
        }
        let is_last_on_disk = self.leaves_disk || self.on_disk() <= events.len() as u64;
        let is_last = self.lanes.len() == 0 && is_last_on_disk;
        let (mut entries, mut marks) = (Vec::with_capacity(events.len() + 1), Vec::new());
        for event in events {
            if let Some(mark) = self.ledger.marks.due_before(&event) {
                marks.push((entries.len(), mark));
                entries.push(self.ledger.blank());
            }
            entries.push(event);
        }
        if is_last {
            while let Some(mark) = self.ledger.marks.pop() {
                marks.push((entries.len(), mark));
                entries.push(self.ledger.blank());
            }
        }
        (entries, marks)
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
        self.release(&batch);
        let events = (batch.events - self.count_over(&batch, usize::MAX, after)) as u64;
        let (lost, reason) = match settled {
            Settled::Delivered => (0, LossReason::Refused),
            Settled::Refused(count) => (count.min(events), LossReason::Refused),
            Settled::Failed(reason) => (events, reason),
        };
        self.sums.delivered += events - lost;
        self.sums.failed += lost;
        self.lose_last(&batch, lost, reason, after);
        let none = matches!(settled, Settled::Failed(_));
        for (place, mark) in marks {
            if batch.has_taken(*place).unwrap_or(!none) {
                self.sums.markers += 1;
            } else {
                self.ledger.marks.put_back(mark);
            }
        }
        self.serve(after);
        Some(batch)
    }

    /// Enters the last so many events of the batch of which nothing came as lost, in their order.
    fn lose_last(&mut self, batch: &InFlight, count: u64, reason: LossReason, after: &mut After) {
        if count == 0 {
            return;
        }
        let rest = batch.open().count() - count as usize;
        for entry in batch.open().skip(rest) {
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
            self.leaves_disk = true;
            self.discard_queue(after);
        }
        self.turn_away(after);
        // Marks get one more chance to go out.
        self.is_failing = false;
        self.wake_all(after);
    }

    /// What a batch holds is settled, and its room is free.
    fn release(&mut self, batch: &InFlight) {
        if !batch.is_from_disk {
            self.held -= batch.events;
            self.held_bytes -= batch.bytes;
        } else if let Some(shelf) = &mut self.shelf {
            shelf.commit(batch.events);
        }
    }

    /// Gives up a batch that nobody waits for any more; what can be kept on disk is.
    fn leave(&mut self, batch: &InFlight, after: &mut After) {
        let over = self.leave_over(batch, after);
        let kept = match batch.is_from_disk {
            // Where it is.
            true => batch.events - over,
            false => self.put_away(batch),
        };
        let lost = (batch.events - over - kept) as u64;
        self.sums.discarded += lost;
        self.lose_last(batch, lost, LossReason::Shutdown, after);
        if !batch.is_from_disk {
            self.release(batch);
        }
    }

    /// Moves what waits in memory to disk, as far as there is room.
    fn keep_queue(&mut self, after: &mut After) {
        while self.lanes.len() > 0 {
            let mut queue = InFlight::default();
            let mut entries = Vec::new();
            queue.bytes = self.lanes.pop_into(usize::MAX, &mut entries).bytes;
            queue.events = entries.len();
            queue.entries = Arc::new(entries);
            self.leave(&queue, after);
            after.drop_entries(queue.entries);
        }
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
            self.leave(batch, after);
        }
        if self.shelf.is_some() {
            self.keep_queue(after);
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
