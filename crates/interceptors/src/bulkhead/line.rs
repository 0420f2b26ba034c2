//! Who waits, and whose turn it is.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

/// Those that wait, in classes of one weight. Turns are given to the classes in proportion to their weights (weighted fair
/// queueing in virtual time, Demers, Keshav & Shenker 1989), and within a class in the order in which they came: so no class
/// starves, however many come in another.
#[derive(Debug)]
pub(super) struct Line<W> {
    classes: BTreeMap<NonZeroU16, Class<W>>,
    len: usize,
    /// Numbers are given out in the order in which they come.
    next: u64,
    /// The virtual time: that of the turn that was given last.
    clock: u64,
}

#[derive(Debug)]
struct Class<W> {
    /// The virtual time of its next turn.
    tag: u64,
    waiting: BTreeMap<u64, W>,
}

/// The virtual time that a turn takes a class of weight 1.
const UNIT: u64 = 1 << 24;

impl<W> Line<W> {
    pub(super) const fn new() -> Self {
        Self {
            classes: BTreeMap::new(),
            len: 0,
            next: 0,
            clock: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Somebody joins, and has this number.
    pub(super) fn push(&mut self, weight: NonZeroU16, waiter: W) -> u64 {
        let number = self.next;
        self.next += 1;
        self.len += 1;
        let first = self.clock.saturating_add(step(weight));
        let class = self.classes.entry(weight).or_insert_with(|| Class {
            tag: first,
            waiting: BTreeMap::new(),
        });
        class.waiting.insert(number, waiter);
        number
    }

    /// Whoever has the next turn.
    pub(super) fn pop(&mut self) -> Option<W> {
        // Of classes that are due at once, the heaviest.
        let due = self.classes.iter_mut().rev();
        let (weight, class) = due.min_by_key(|(_, class)| class.tag)?;
        let weight = *weight;
        self.clock = class.tag;
        class.tag = class.tag.saturating_add(step(weight));
        let (_, waiter) = class.waiting.pop_first()?;
        self.shrunk(weight);
        Some(waiter)
    }

    /// The weight of the lightest class.
    pub(super) fn lightest(&self) -> Option<NonZeroU16> {
        self.classes.keys().next().copied()
    }

    /// Takes out the newest of the lightest class.
    pub(super) fn shed(&mut self) -> Option<W> {
        let mut entry = self.classes.first_entry()?;
        let weight = *entry.key();
        let (_, waiter) = entry.get_mut().waiting.pop_last()?;
        self.shrunk(weight);
        Some(waiter)
    }

    /// Somebody leaves; `None` if it is no longer there.
    pub(super) fn remove(&mut self, weight: NonZeroU16, number: u64) -> Option<W> {
        let waiter = self.classes.get_mut(&weight)?.waiting.remove(&number)?;
        self.shrunk(weight);
        Some(waiter)
    }

    fn shrunk(&mut self, weight: NonZeroU16) {
        self.len -= 1;
        let emptied = self.classes.get(&weight);
        if emptied.is_some_and(|class| class.waiting.is_empty()) {
            self.classes.remove(&weight);
        }
        if self.len == 0 {
            self.clock = 0;
        }
    }
}

fn step(weight: NonZeroU16) -> u64 {
    UNIT / u64::from(weight.get())
}
