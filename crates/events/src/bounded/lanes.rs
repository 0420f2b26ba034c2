//! The queue: two lanes that are one in the order of arrival.

use std::collections::VecDeque;

use crate::{Entry, Lane};

/// An event that waits, with its place in the order of arrival and its weight in bytes (0 if bytes do not count).
pub(super) struct Slot {
    pub(super) ticket: u64,
    pub(super) bytes: usize,
    pub(super) entry: Entry,
}

/// Lanes do not decide who is delivered first, only who stays if not all can.
#[derive(Default)]
pub(super) struct Lanes {
    audit: VecDeque<Slot>,
    telemetry: VecDeque<Slot>,
    /// Of the lower lane.
    loose_bytes: usize,
}

/// From which end of the lower lane room is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Newest,
    Oldest,
}

impl Lanes {
    pub(super) fn len(&self) -> usize {
        self.audit.len() + self.telemetry.len()
    }

    /// How many may have to go for others.
    pub(super) fn loose(&self) -> usize {
        self.telemetry.len()
    }

    /// How many bytes these have.
    pub(super) fn loose_bytes(&self) -> usize {
        self.loose_bytes
    }

    pub(super) fn push(&mut self, lane: Lane, slot: Slot) {
        match lane {
            Lane::Audit => self.audit.push_back(slot),
            Lane::Telemetry => {
                self.loose_bytes += slot.bytes;
                self.telemetry.push_back(slot);
            }
        }
    }

    /// The one that came first.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        let telemetry_first = match (self.audit.front(), self.telemetry.front()) {
            (Some(audit), Some(telemetry)) => telemetry.ticket < audit.ticket,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if telemetry_first {
            let slot = self.telemetry.pop_front()?;
            self.loose_bytes -= slot.bytes;
            Some(slot)
        } else {
            self.audit.pop_front()
        }
    }

    /// Takes one out of the lower lane.
    pub(super) fn evict(&mut self, end: End) -> Option<Slot> {
        let slot = match end {
            End::Newest => self.telemetry.pop_back(),
            End::Oldest => self.telemetry.pop_front(),
        }?;
        self.loose_bytes -= slot.bytes;
        Some(slot)
    }

    /// The ticket of the one that came first.
    pub(super) fn front(&self) -> Option<u64> {
        let fronts = [self.audit.front(), self.telemetry.front()];
        fronts.into_iter().flatten().map(|slot| slot.ticket).min()
    }
}
