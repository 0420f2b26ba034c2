//! Everything behind the lock: what is held, and how what is offered finds room.

use std::sync::Arc;
use std::task::Waker;

use crate::bounded::after::After;
use crate::bounded::fates::Fate;
use crate::bounded::flush::Flushes;
use crate::bounded::lanes::{End, Lanes, Slot};
use crate::bounded::ledger::{Ledger, Lost};
use crate::bounded::shelf::Shelf;
use crate::bounded::waiting::Waiting;
use crate::bounded::{Health, LossReason, weight};
use crate::{Batch, Entry, Event, EventKind, Lane, Receipt, RunHeader};

/// How much may be held, and what happens beyond it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) capacity: usize,
    /// If bytes count at all.
    pub(super) bytes: Option<usize>,
    /// From which end room is made. The oldest also go for what is not of the engine.
    pub(super) evicts: End,
}

/// Which events wait for room rather than being dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// None.
    Nobody,
    /// What the engine says.
    Audit,
    /// All.
    Everybody,
}

impl Patience {
    fn covers(self, lane: Lane) -> bool {
        match self {
            Self::Nobody => false,
            Self::Audit => lane == Lane::Audit,
            Self::Everybody => true,
        }
    }
}

/// How far the life of the sink has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Nothing is taken any more; what is held goes out. Nobody waits for it if the last handle was dropped.
    Closing(Closer),
    /// Nothing is held.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closer {
    Stop,
    LastDrop,
}

/// Sums of events by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) offered: u64,
    pub(super) accepted: u64,
    pub(super) dropped: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) discarded: u64,
    pub(super) markers: u64,
}

/// What is being delivered.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) entries: Arc<Vec<Entry>>,
    pub(super) first_ticket: u64,
    /// Without marks.
    pub(super) events: usize,
    pub(super) bytes: usize,
    /// They are on disk until they are settled, and count as held there.
    pub(super) is_from_disk: bool,
    /// What became of each of the entries, if somebody said so of one.
    pub(super) fates: Vec<Fate>,
}

pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) phase: Phase,
    pub(super) sums: Sums,
    pub(super) lanes: Lanes,
    pub(super) shelf: Option<Box<dyn Shelf>>,
    /// What is on disk is left to the sink that comes after this one.
    pub(super) leaves_disk: bool,
    pub(super) in_flight: Option<InFlight>,
    /// Events in the lanes and in delivery.
    pub(super) held: usize,
    pub(super) held_bytes: usize,
    pub(super) next_ticket: u64,
    pub(super) ledger: Ledger,
    /// Delivery failed the last time it was tried: marks wait for better times.
    pub(super) is_failing: bool,
    pub(super) waiting: Waiting,
    pub(super) flushes: Flushes,
    /// The pump, and for how many queued events it waits.
    pub(super) pump: Option<(Waker, usize)>,
    /// The pump again: it waits for the end of the sink, and for its last handle to go.
    pub(super) pump_watch: [Option<Waker>; 2],
    /// Who waits for the end of the sink.
    pub(super) watchers: Vec<Waker>,
    pub(super) health: Health,
}

/// What is asked for an event.
#[derive(Clone, Copy)]
struct Wish {
    lane: Lane,
    bytes: usize,
    patience: Patience,
}

/// Where there is room for an event. On disk it is already.
enum Room {
    Memory,
    Disk,
}

/// Stands in the place of an event that was moved out of its batch.
const MOVED: Event = Event::new(0, 0, EventKind::RunStarted);

impl State {
    pub(super) fn new(limits: Limits, shelf: Option<Box<dyn Shelf>>) -> Self {
        // What is on disk from before counts as if it had been offered now.
        let found = shelf.as_ref().map_or(0, |shelf| shelf.len());
        Self {
            limits,
            phase: Phase::Open,
            sums: Sums {
                offered: found,
                accepted: found,
                ..Sums::default()
            },
            lanes: Lanes::default(),
            shelf,
            leaves_disk: false,
            in_flight: None,
            held: 0,
            held_bytes: 0,
            next_ticket: found,
            ledger: Ledger::new(),
            is_failing: false,
            waiting: Waiting::default(),
            flushes: Flushes::default(),
            pump: None,
            pump_watch: [None, None],
            watchers: Vec::new(),
            health: Health::default(),
        }
    }

    /// Takes or drops the events of the batch from this one on, and says how far it came: an event that has to wait, or
    /// the end. What is dropped stays in the batch, so that its drop runs with the lock released.
    pub(super) fn take_in(
        &mut self,
        batch: &mut Batch,
        from: usize,
        patience: Patience,
        receipt: &mut Receipt,
        after: &mut After,
    ) -> usize {
        let count = batch.events.len();
        if from == 0 && self.take_whole(batch) {
            receipt.accepted += count as u64;
            self.wake_pump(after);
            return batch.events.len();
        }
        let Batch { run, events } = batch;
        for (at, event) in events.iter_mut().enumerate().skip(from) {
            let lane = Lane::of(event.kind());
            match self.take_event(run, event, (lane, patience), receipt, after) {
                Ok(()) => receipt.accepted += 1,
                Err(reason) if reason.may_pass() && patience.covers(lane) => {
                    self.wake_pump(after);
                    return at;
                }
                Err(reason) => {
                    self.refuse(run, event, reason, after);
                    receipt.dropped += 1;
                    receipt.dropped_audit += u64::from(lane == Lane::Audit);
                }
            }
        }
        self.wake_pump(after);
        count
    }

    /// Takes a batch in one step if there is nothing to decide for each of its events: there is room for all of them, and
    /// they are of one lane. What is taken has left the batch.
    fn take_whole(&mut self, batch: &mut Batch) -> bool {
        let count = batch.events.len();
        let [first, others @ ..] = &*batch.events else {
            return false;
        };
        let room = self.limits.capacity.saturating_sub(self.held);
        // A long buffer for a few events would make the bound on events say little about memory.
        let is_sparse = batch.events.capacity() / 2 > count;
        if others.is_empty() || is_sparse || count > room || !self.is_plain() || self.on_disk() > 0
        {
            return false;
        }
        let lane = Lane::of(first.kind());
        if others.iter().any(|event| Lane::of(event.kind()) != lane) {
            return false;
        }
        let (run, events) = (Arc::clone(&batch.run), std::mem::take(&mut batch.events));
        self.lanes.push_row(lane, self.next_ticket, run, events);
        self.next_ticket += count as u64;
        self.sums.offered += count as u64;
        self.sums.accepted += count as u64;
        self.held += count;
        true
    }

    /// Whether it is open, and only the number of events counts.
    pub(super) fn is_plain(&self) -> bool {
        self.phase == Phase::Open && self.limits.bytes.is_none()
    }

    /// Takes this event, or says why not; then it is still there, and nothing is counted.
    pub(super) fn take_event(
        &mut self,
        run: &Arc<RunHeader>,
        event: &mut Event,
        (lane, patience): (Lane, Patience),
        receipt: &mut Receipt,
        after: &mut After,
    ) -> Result<(), LossReason> {
        let bytes = self.limits.bytes.map_or(0, |_| weight::of(event));
        let wish = Wish {
            lane,
            bytes,
            patience,
        };
        let room = self.make_room(run, event, wish, receipt, after)?;
        self.sums.offered += 1;
        if let Room::Memory = room {
            let event = std::mem::replace(event, MOVED);
            self.push(lane, bytes, Entry::Event(Arc::clone(run), event));
        }
        Ok(())
    }

    pub(super) fn push(&mut self, lane: Lane, bytes: usize, entry: Entry) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.sums.accepted += 1;
        self.held += 1;
        self.held_bytes += bytes;
        self.lanes.push(lane, ticket, Slot { bytes, entry });
    }

    /// Counts an event as offered and not taken.
    pub(super) fn refuse(
        &mut self,
        run: &Arc<RunHeader>,
        event: &Event,
        reason: LossReason,
        after: &mut After,
    ) {
        self.sums.offered += 1;
        self.sums.dropped += 1;
        self.ledger.lose(&Lost::event(run, event), reason, after);
    }

    /// Sees to it that there is room for an event, if need be at the cost of others.
    #[inline]
    fn make_room(
        &mut self,
        run: &RunHeader,
        event: &Event,
        wish: Wish,
        receipt: &mut Receipt,
        after: &mut After,
    ) -> Result<Room, LossReason> {
        if self.phase != Phase::Open {
            return Err(LossReason::Closed);
        }
        if self.shelf.is_some()
            && let Some(put) = self.put_on_disk(run, event, wish.lane, wish.bytes)
        {
            return put.map(|()| Room::Disk);
        }
        match self.lack(wish.bytes) {
            None => Ok(Room::Memory),
            Some(reason) => self.evict_for(wish, reason, receipt, after),
        }
    }

    /// What there is too little of for so many bytes more.
    pub(super) fn lack(&self, bytes: usize) -> Option<LossReason> {
        let limit = self.limits.bytes.unwrap_or(usize::MAX);
        if self.held >= self.limits.capacity {
            Some(LossReason::Full)
        } else if bytes > limit - self.held_bytes {
            Some(LossReason::Bytes)
        } else {
            None
        }
    }

    fn evict_for(
        &mut self,
        wish: Wish,
        reason: LossReason,
        receipt: &mut Receipt,
        after: &mut After,
    ) -> Result<Room, LossReason> {
        let Wish { lane, bytes, .. } = wish;
        let limit = self.limits.bytes.unwrap_or(usize::MAX);
        if bytes > limit {
            return Err(LossReason::TooLarge);
        }
        let end = self.limits.evicts;
        let must_yield = lane == Lane::Telemetry && end == End::Newest;
        // Where everybody waits, nobody has to go until the wait is over.
        if must_yield || wish.patience == Patience::Everybody {
            return Err(reason);
        }
        // Nothing goes in vain: only if there will be room.
        let must_stay = self.held_bytes - self.lanes.loose_bytes();
        if self.lanes.loose() == 0 || bytes > limit - must_stay {
            return Err(reason);
        }
        while self.lack(bytes).is_some() {
            let Some(slot) = self.lanes.evict(end) else {
                return Err(reason);
            };
            receipt.evicted += 1;
            self.let_go(slot, LossReason::Evicted, after);
        }
        Ok(Room::Memory)
    }

    /// Whether so many events are queued, or there is no reason to wait for more: somebody waits for the end of it or for room,
    /// half of the bytes are in use, or what is left to do is not in the queue.
    pub(super) fn is_gathered(&self, want: usize) -> bool {
        let is_urgent = self.phase != Phase::Open || self.flushes.is_any_open();
        let is_tight = |most| self.held > 0 && self.held_bytes >= most / 2;
        is_urgent
            || self.lanes.len() >= want
            || self.limits.bytes.is_some_and(is_tight)
            || !self.waiting.is_empty()
            || self.on_disk() > 0
            || (self.lanes.len() == 0 && self.has_work())
    }

    /// Wakes the pump if there is what it waits for.
    pub(super) fn wake_pump(&mut self, after: &mut After) {
        let Some((_, want)) = &self.pump else { return };
        let is_alone = self.held == 0 && (self.ledger.has_marks() || self.on_disk() > 0);
        if (is_alone || self.is_gathered(*want))
            && let Some((waker, _)) = self.pump.take()
        {
            after.wake(waker);
        }
    }

    /// Wakes everybody who waits for a change of phase or for a flush, and the pump.
    pub(super) fn wake_all(&mut self, after: &mut After) {
        let pump = self.pump.take().map(|(waker, _)| waker);
        let watches = self.pump_watch.iter_mut().filter_map(Option::take);
        for waker in self.watchers.drain(..).chain(watches).chain(pump) {
            after.wake(waker);
        }
        self.wake_flushes(after);
    }

    /// Wakes this task when the phase changes.
    pub(super) fn watch(&mut self, waker: &Waker) {
        if !self.watchers.iter().any(|other| other.will_wake(waker)) {
            self.watchers.push(waker.clone());
        }
    }
}
