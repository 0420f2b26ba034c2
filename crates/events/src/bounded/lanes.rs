//! The queue: two lanes that are one in the order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;

use crate::{Entry, Event, Lane, RunHeader};

/// An event that waits, with its weight in bytes (0 if bytes do not count).
pub(super) struct Slot {
    pub(super) bytes: usize,
    pub(super) entry: Entry,
}

/// What came in one step: its events have tickets one after the other.
struct Parcel {
    /// Of the first, whether it is still there or not: what came in one step is before or after any other event as a whole.
    ticket: u64,
    load: Load,
}

enum Load {
    One(Slot),
    /// Never empty. Where bytes count, events come one by one: these weigh nothing.
    Row(Arc<RunHeader>, vec::IntoIter<Event>),
}

/// Lanes do not decide who is delivered first, only who stays if not all can.
#[derive(Default)]
pub(super) struct Lanes {
    audit: Queue,
    telemetry: Queue,
}

#[derive(Default)]
struct Queue {
    parcels: VecDeque<Parcel>,
    /// How many events are in the parcels.
    len: usize,
    bytes: usize,
}

/// From which end of the lower lane room is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Newest,
    Oldest,
}

/// What is known of events that were taken out.
pub(super) struct Popped {
    /// The ticket of the first, or of one that came with it.
    pub(super) first: Option<u64>,
    pub(super) bytes: usize,
}

impl Lanes {
    pub(super) fn len(&self) -> usize {
        self.audit.len + self.telemetry.len
    }

    /// How many may have to go for others.
    pub(super) fn loose(&self) -> usize {
        self.telemetry.len
    }

    /// How many bytes these have.
    pub(super) fn loose_bytes(&self) -> usize {
        self.telemetry.bytes
    }

    pub(super) fn push(&mut self, lane: Lane, ticket: u64, slot: Slot) {
        let queue = self.of(lane);
        queue.len += 1;
        queue.bytes += slot.bytes;
        let load = Load::One(slot);
        queue.parcels.push_back(Parcel { ticket, load });
    }

    /// Events of one run, all of them of this lane, the first with this ticket.
    pub(super) fn push_row(
        &mut self,
        lane: Lane,
        ticket: u64,
        run: Arc<RunHeader>,
        events: Vec<Event>,
    ) {
        if events.is_empty() {
            return;
        }
        let queue = self.of(lane);
        queue.len += events.len();
        let load = Load::Row(run, events.into_iter());
        queue.parcels.push_back(Parcel { ticket, load });
    }

    /// The one that came first.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        self.first()?.pop(End::Oldest)
    }

    /// Appends up to `most` events to the entries, those that came first.
    pub(super) fn pop_into(&mut self, most: usize, entries: &mut Vec<Entry>) -> Popped {
        let (first, mut bytes) = (self.front(), 0);
        let mut left = most.min(self.len());
        entries.reserve(left);
        while left > 0
            && let Some(queue) = self.first()
        {
            let count = entries.len();
            bytes += queue.pop_parcel(left, entries);
            left -= entries.len() - count;
        }
        Popped { first, bytes }
    }

    /// Takes one out of the lower lane.
    pub(super) fn evict(&mut self, end: End) -> Option<Slot> {
        self.telemetry.pop(end)
    }

    /// The ticket of the one that came first, or of one that came with it.
    pub(super) fn front(&self) -> Option<u64> {
        let fronts = [self.audit.front(), self.telemetry.front()];
        fronts.into_iter().flatten().min()
    }

    fn of(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Audit => &mut self.audit,
            Lane::Telemetry => &mut self.telemetry,
        }
    }

    /// The lane in which the event is that came first. What came in one step is in one lane, so that the first of each
    /// parcel tells for all of it.
    fn first(&mut self) -> Option<&mut Queue> {
        match (self.audit.front(), self.telemetry.front()) {
            (None, None) => None,
            (Some(audit), Some(telemetry)) if audit < telemetry => Some(&mut self.audit),
            (Some(_), None) => Some(&mut self.audit),
            (_, Some(_)) => Some(&mut self.telemetry),
        }
    }
}

impl Queue {
    fn front(&self) -> Option<u64> {
        self.parcels.front().map(|parcel| parcel.ticket)
    }

    fn pop(&mut self, end: End) -> Option<Slot> {
        let parcel = match end {
            End::Newest => self.parcels.back_mut(),
            End::Oldest => self.parcels.front_mut(),
        }?;
        let taken = match &mut parcel.load {
            Load::Row(run, events) if events.len() > 1 => {
                let event = match end {
                    End::Newest => events.next_back(),
                    End::Oldest => events.next(),
                }?;
                Slot::weightless(Arc::clone(run), event)
            }
            // The last of it.
            Load::One(_) | Load::Row(..) => {
                let parcel = match end {
                    End::Newest => self.parcels.pop_back(),
                    End::Oldest => self.parcels.pop_front(),
                }?;
                match parcel.load {
                    Load::One(slot) => slot,
                    Load::Row(run, mut events) => Slot::weightless(run, events.next()?),
                }
            }
        };
        self.len -= 1;
        self.bytes -= taken.bytes;
        Some(taken)
    }

    /// Appends up to `most` events of the first parcel, and says how many bytes they have.
    fn pop_parcel(&mut self, most: usize, entries: &mut Vec<Entry>) -> usize {
        let Some(mut parcel) = self.parcels.pop_front() else {
            return 0;
        };
        match parcel.load {
            Load::One(slot) => {
                self.len -= 1;
                self.bytes -= slot.bytes;
                entries.push(slot.entry);
                return slot.bytes;
            }
            Load::Row(run, events) if events.len() <= most => {
                self.len -= events.len();
                let entry = |event| Entry::Event(Arc::clone(&run), event);
                entries.extend(events.map(entry));
            }
            Load::Row(run, mut events) => {
                self.len -= most;
                let entry = |event| Entry::Event(Arc::clone(&run), event);
                entries.extend(events.by_ref().take(most).map(entry));
                parcel.load = Load::Row(run, events);
                self.parcels.push_front(parcel);
            }
        }
        0
    }
}

impl Slot {
    fn weightless(run: Arc<RunHeader>, event: Event) -> Self {
        Self {
            bytes: 0,
            entry: Entry::Event(run, event),
        }
    }
}
