//! Virtual time: what makes shares fair.
//!
//! Start-time fair queueing. Each pool has a clock of its own. A turn has a tag: the virtual time at which it may start. A
//! class that takes a turn has its next one later, by the units it asks for divided by its weight. The clock stands at the
//! latest tag that was served, and no turn is given a tag before it: whoever comes new is soon first.

use std::num::NonZeroU32;

use super::Priority;

/// A virtual time. Wide enough for 2⁶⁴ turns of the greatest cost.
pub(super) type Tag = u128;

/// One unit for a class of weight 1.
const UNIT: Tag = 1 << 32;

#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Tag,
    /// When the next turn of a class may start, for those where this lies ahead of the clock.
    next: Vec<(Priority, Tag)>,
}

impl Clock {
    /// Gives a class a turn for so many units.
    pub(super) fn issue(&mut self, class: Priority, units: NonZeroU32) -> Tag {
        let now = self.now;
        self.next.retain(|(_, next)| *next > now);
        match self.next.iter_mut().find(|(other, _)| *other == class) {
            Some((_, next)) => {
                let tag = *next;
                *next += cost(class, units);
                tag
            }
            None => {
                self.next.push((class, now + cost(class, units)));
                now
            }
        }
    }

    /// Takes back a turn that was not used.
    pub(super) fn refund(&mut self, class: Priority, units: NonZeroU32) {
        if let Some((_, next)) = self.next.iter_mut().find(|(other, _)| *other == class) {
            *next = next.saturating_sub(cost(class, units));
        }
    }

    /// A turn was served.
    pub(super) fn served(&mut self, tag: Tag) {
        self.now = self.now.max(tag);
    }
}

fn cost(class: Priority, units: NonZeroU32) -> Tag {
    UNIT * Tag::from(units.get()) / Tag::from(class.weight().get())
}
