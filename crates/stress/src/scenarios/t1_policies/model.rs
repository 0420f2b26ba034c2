//! What a bounded sink must do, in the plainest way there is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use stageflow::events::Stopping;

use super::case::Policy;

/// One event: whose, which number, and whether it must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) who: usize,
    pub(super) seq: u64,
    pub(super) audit: bool,
    pub(super) at: Duration,
}

/// What has become of an offer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Accepted,
    Dropped,
    Waits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) offered: u64,
    pub(super) accepted: u64,
    pub(super) dropped: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) discarded: u64,
    pub(super) queued: u64,
}

#[derive(Debug)]
pub(super) struct Model {
    policy: Policy,
    capacity: usize,
    batch: usize,
    queue: VecDeque<Item>,
    pub(super) at_work: Vec<Item>,
    /// With the time at which each gives up.
    waiting: VecDeque<(Item, Duration)>,
    pub(super) sums: Sums,
    pub(super) losses: BTreeMap<&'static str, u64>,
    pub(super) audit_lost: u64,
    closed: bool,
}

impl Model {
    pub(super) fn new(policy: Policy, capacity: usize, batch: usize) -> Self {
        Self {
            policy,
            capacity,
            batch: batch.min(capacity.div_ceil(2)),
            queue: VecDeque::new(),
            at_work: Vec::new(),
            waiting: VecDeque::new(),
            sums: Sums::default(),
            losses: BTreeMap::new(),
            audit_lost: 0,
            closed: false,
        }
    }

    /// Offers an event, which waits until `gives_up` if it may wait at all.
    pub(super) fn offer(&mut self, item: Item, gives_up: Option<Duration>) -> Fate {
        // Where everybody waits, nobody overtakes.
        let in_line = self.policy == Policy::Wait && !self.waiting.is_empty();
        if !in_line && self.place(item) {
            return Fate::Accepted;
        }
        if let Some(gives_up) = gives_up {
            self.waiting.push_back((item, gives_up));
            return Fate::Waits;
        }
        self.drop(item, "full");
        Fate::Dropped
    }

    /// Those whose patience is at its end, one after the other: behind each there may be one that finds room.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((item, _)) = self.waiting.front().filter(|(_, until)| *until <= now) {
            let item = *item;
            self.waiting.pop_front();
            // Whoever has waited in vain may take the place of others now, if it must not be lost.
            if item.audit && self.make_room(item) {
                self.put(item);
            } else {
                self.drop(item, "full");
            }
            self.serve();
        }
    }

    /// When the first of those who wait gives up.
    pub(super) fn first_expiry(&self) -> Option<Duration> {
        self.waiting.front().map(|(_, until)| *until)
    }

    pub(super) fn waits(&self) -> usize {
        self.waiting.len()
    }

    /// Takes up what is delivered next, if nothing is under way.
    pub(super) fn begin(&mut self) {
        if self.at_work.is_empty() {
            let count = self.batch.min(self.queue.len());
            self.at_work = self.queue.drain(..count).collect();
        }
    }

    /// What was under way is over.
    pub(super) fn end(&mut self, well: bool) -> Vec<Item> {
        let done = std::mem::take(&mut self.at_work);
        let count = done.len() as u64;
        self.sums.queued -= count;
        if well {
            self.sums.delivered += count;
        } else {
            self.sums.failed += count;
            *self.losses.entry("permanent").or_default() += count;
        }
        self.serve();
        done
    }

    /// Whoever waits first comes first.
    fn serve(&mut self) {
        while let Some((item, _)) = self.waiting.front().copied() {
            if !self.place(item) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    pub(super) fn close(&mut self, stopping: Stopping) {
        self.closed = true;
        if stopping == Stopping::Discard {
            for item in std::mem::take(&mut self.queue) {
                self.discard(item, "shutdown");
            }
        }
        for (item, _) in std::mem::take(&mut self.waiting) {
            self.drop(item, "closed");
        }
    }

    fn place(&mut self, item: Item) -> bool {
        // Where everybody waits, nobody has to go before somebody has waited in vain.
        let fits = !self.is_full() || self.policy != Policy::Wait && self.make_room(item);
        if fits {
            self.put(item);
        }
        fits
    }

    fn put(&mut self, item: Item) {
        self.queue.push_back(item);
        self.sums.offered += 1;
        self.sums.accepted += 1;
        self.sums.queued += 1;
    }

    fn is_full(&self) -> bool {
        self.policy != Policy::Spill && self.queue.len() + self.at_work.len() >= self.capacity
    }

    fn make_room(&mut self, item: Item) -> bool {
        let loose = |other: &Item| !other.audit;
        let goes = match self.policy {
            Policy::DropOldest => self.queue.iter().position(loose),
            _ if item.audit => self.queue.iter().rposition(loose),
            _ => None,
        };
        match goes.and_then(|at| self.queue.remove(at)) {
            Some(evicted) => {
                self.discard(evicted, "evicted");
                true
            }
            None => false,
        }
    }

    fn discard(&mut self, item: Item, reason: &'static str) {
        self.sums.queued -= 1;
        self.sums.discarded += 1;
        self.lose(item, reason);
    }

    fn drop(&mut self, item: Item, reason: &'static str) {
        self.sums.offered += 1;
        self.sums.dropped += 1;
        self.lose(item, reason);
    }

    fn lose(&mut self, item: Item, reason: &'static str) {
        *self.losses.entry(reason).or_default() += 1;
        self.audit_lost += u64::from(item.audit && !self.closed);
    }
}
