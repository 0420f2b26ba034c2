//! What became of each entry of a batch that is being delivered, where somebody says it of each.
//!
//! It is noted at once, behind the lock, and counted when the batch is over, however that comes about.

use crate::Entry;
use crate::bounded::LossReason;
use crate::bounded::after::After;
use crate::bounded::core::Core;
use crate::bounded::ledger::Lost;
use crate::bounded::state::{InFlight, State};

/// What became of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing yet.
    #[default]
    Open,
    /// Nothing yet: it is tried again.
    Later,
    Taken,
    Refused,
}

/// How many entries of a batch came to what, at the end of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) later: usize,
    pub(super) refused: usize,
}

impl Fate {
    fn is_over(self) -> bool {
        matches!(self, Self::Taken | Self::Refused)
    }
}

impl InFlight {
    fn fate(&self, place: usize) -> Fate {
        self.fates.get(place).copied().unwrap_or_default()
    }

    /// Its events of which nothing came yet, in order; without marks.
    pub(super) fn open(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(place, entry)| !entry.is_mark() && !self.fate(*place).is_over())
            .map(|(_, entry)| entry)
    }

    /// Its events that are over, in order; without marks.
    fn over(&self) -> impl Iterator<Item = (&Entry, Fate)> {
        let known = self.entries.iter().zip(self.fates.iter().copied());
        known.filter(|(entry, fate)| !entry.is_mark() && fate.is_over())
    }

    /// How many events the batch begins with of which something came.
    fn over_in_front(&self) -> usize {
        let known = self.entries.iter().zip(self.fates.iter().copied());
        let events = known.filter(|(entry, _)| !entry.is_mark());
        events.take_while(|(_, fate)| fate.is_over()).count()
    }

    /// Whether the mark at this place was taken, if that is known.
    pub(super) fn has_taken(&self, place: usize) -> Option<bool> {
        (!self.fates.is_empty()).then(|| self.fate(place) == Fate::Taken)
    }
}

impl State {
    /// Counts what came of the first so many of the events that are over.
    pub(super) fn count_over(&mut self, batch: &InFlight, most: usize, after: &mut After) -> usize {
        let mut count = 0;
        for (entry, fate) in batch.over().take(most) {
            count += 1;
            if fate == Fate::Taken {
                self.sums.delivered += 1;
            } else {
                self.sums.failed += 1;
                self.ledger
                    .lose(&Lost::entry(entry), LossReason::Refused, after);
            }
        }
        count
    }

    /// The same for a batch that is given up. On disk only what it begins with can be taken out: the rest of it comes again.
    pub(super) fn leave_over(&mut self, batch: &InFlight, after: &mut After) -> usize {
        if !batch.is_from_disk {
            return self.count_over(batch, usize::MAX, after);
        }
        let count = self.count_over(batch, batch.over_in_front(), after);
        if let Some(shelf) = self.shelf.as_mut().filter(|_| count > 0) {
            shelf.commit(count);
        }
        count
    }

    /// Nothing is noted any more if the batch was given up meanwhile.
    fn fates(&mut self) -> Option<&mut Vec<Fate>> {
        let batch = self.in_flight.as_mut()?;
        if batch.fates.is_empty() {
            batch.fates = vec![Fate::Open; batch.entries.len()];
        }
        Some(&mut batch.fates)
    }
}

impl Core {
    /// The places of what is left of the batch in delivery: all that is tried again is open now.
    pub(super) fn retake(&self) -> Vec<usize> {
        let mut state = self.lock();
        let Some(batch) = &mut state.in_flight else {
            return Vec::new();
        };
        for fate in batch.fates.iter_mut().filter(|fate| !fate.is_over()) {
            *fate = Fate::Open;
        }
        let places = 0..batch.entries.len();
        places
            .filter(|place| !batch.fate(*place).is_over())
            .collect()
    }

    pub(super) fn note(&self, fate: Fate, places: impl IntoIterator<Item = usize>) {
        // Whoever says which they are may be code of anybody: not under the lock.
        let places: Vec<usize> = places.into_iter().collect();
        let mut state = self.lock();
        let Some(fates) = state.fates() else { return };
        for place in places {
            if let Some(known) = fates.get_mut(place).filter(|known| !known.is_over()) {
                *known = fate;
            }
        }
    }

    /// What nothing was noted of was taken, but for the last so many: those were refused.
    pub(super) fn end_call(&self, refused: u64) -> Outcome {
        let mut state = self.lock();
        let Some(fates) = state.fates() else {
            return Outcome::default();
        };
        let refused = usize::try_from(refused).unwrap_or(usize::MAX);
        let mut outcome = Outcome::default();
        let open = fates.iter_mut().rev();
        let open = open.filter(|fate| **fate == Fate::Open);
        for (nth, fate) in open.enumerate() {
            *fate = match nth < refused {
                true => Fate::Refused,
                false => Fate::Taken,
            };
        }
        for fate in &*fates {
            outcome.later += usize::from(*fate == Fate::Later);
            outcome.refused += usize::from(*fate == Fate::Refused);
        }
        outcome
    }
}
