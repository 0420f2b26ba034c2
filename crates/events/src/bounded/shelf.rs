//! What waits on disk while there is no room in memory.
//!
//! Once something is there, everything that comes after it goes there, too, until nothing is left: so the order holds.

use std::sync::Arc;

use crate::bounded::LossReason;
use crate::bounded::after::After;
use crate::bounded::ledger::Lost;
use crate::bounded::state::{InFlight, State};
use crate::{Entry, EventRecord, Lane, RunHeader, Spill, SpillError, SpillErrorKind};

/// A queue of records outside of memory: first in, first out.
pub(super) trait Shelf: Send {
    fn append(&mut self, record: &EventRecord) -> Result<(), LossReason>;

    /// The oldest ones, at most so many; they stay.
    fn peek(&mut self, most: usize) -> Result<Vec<Arc<EventRecord>>, SpillError>;

    /// Takes out the oldest so many of those that were given.
    fn commit(&mut self, count: usize);

    fn len(&self) -> u64;

    /// Whether the last quarter is reached, which is kept for what the engine says.
    fn is_tight(&self) -> bool;
}

impl Shelf for Spill {
    fn append(&mut self, record: &EventRecord) -> Result<(), LossReason> {
        Self::append(self, record).map_err(|error| match error.kind() {
            SpillErrorKind::Full { .. } => LossReason::SpillFull,
            SpillErrorKind::TooLarge { .. } => LossReason::TooLarge,
            SpillErrorKind::Io | SpillErrorKind::InUse => LossReason::SpillFailed,
        })
    }

    fn peek(&mut self, most: usize) -> Result<Vec<Arc<EventRecord>>, SpillError> {
        Self::peek(self, most)
    }

    fn commit(&mut self, count: usize) {
        if let Err(error) = Self::commit(self, count) {
            // They are taken out all the same; only after a crash some may come again.
            tracing::warn!(target: "stageflow", error = %error, "a spill could not note what was delivered");
        }
    }

    fn len(&self) -> u64 {
        Self::len(self)
    }

    fn is_tight(&self) -> bool {
        self.bytes() > self.limit() / 4 * 3
    }
}

impl State {
    /// How many events wait on disk.
    pub(super) fn on_disk(&self) -> u64 {
        self.shelf.as_ref().map_or(0, |shelf| shelf.len())
    }

    /// Puts an event on disk instead of into memory, if that is where it belongs now. `None` if it is not.
    pub(super) fn put_on_disk(
        &mut self,
        run: &RunHeader,
        event: &crate::Event,
        lane: Lane,
        bytes: usize,
    ) -> Option<Result<(), LossReason>> {
        let lacks_room = self.lack(bytes).is_some();
        let shelf = self.shelf.as_mut()?;
        if shelf.len() == 0 && !lacks_room {
            return None;
        }
        if lane == Lane::Telemetry && shelf.is_tight() {
            return Some(Err(LossReason::SpillFull));
        }
        let appended = shelf.append(&EventRecord::new(run, event));
        if appended.is_ok() {
            self.next_ticket += 1;
            self.sums.accepted += 1;
        }
        Some(appended)
    }

    /// Takes what is on disk into delivery. Memory is empty: everything in it was older.
    pub(super) fn take_from_disk(
        &mut self,
        most: usize,
        after: &mut After,
    ) -> Result<Vec<Entry>, SpillError> {
        let Some(shelf) = self.shelf.as_mut().filter(|shelf| shelf.len() > 0) else {
            return Ok(Vec::new());
        };
        let before = shelf.len();
        let records = shelf.peek(most);
        let damaged = before - shelf.len();
        self.sums.failed += damaged;
        for _ in 0..damaged {
            self.ledger
                .lose(&Lost::unknown(), LossReason::Damaged, after);
        }
        Ok(records?.into_iter().map(Entry::Record).collect())
    }

    /// The ticket of the oldest one on disk: all of them came one after the other, and nothing came after them.
    pub(super) fn disk_ticket(&self) -> Option<u64> {
        let count = self.on_disk();
        (count > 0).then(|| self.next_ticket.saturating_sub(count))
    }

    /// Keeps on disk what is held in memory, as far as there is room: for the sink that comes after this one. What is left
    /// has to be given up.
    pub(super) fn put_away(&mut self, batch: &InFlight) -> usize {
        let Some(shelf) = self.shelf.as_mut() else {
            return 0;
        };
        batch
            .open()
            .take_while(|entry| shelf.append(&entry.record()).is_ok())
            .count()
    }
}
