//! Who is inside, who waits, and whose turn it is: without a clock, without a lock.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroUsize};
use std::time::Duration;

use rustc_hash::FxHashMap;
use stageflow_context::OrgId;

/// Orgs in a ring that have turns in proportion to their weights: deficit round robin (Shreedhar & Varghese, "Efficient Fair
/// Queueing using Deficit Round Robin", SIGCOMM 1995) where everything that waits has the size 1 and the quantum of an org is its
/// weight. As nothing is ever too large for what is left of a quantum, no deficit is carried on, and the bound is tight: between two
/// orgs that could both have had every turn, the turns had, each divided by its weight, differ by one round at most, over any stretch.
///
/// Within an org it is the order in which they came. An org that is at its own limit stands outside of the ring, and joins it at the
/// end.
pub(crate) struct Line<W> {
    most: usize,
    inside: usize,
    lanes: FxHashMap<OrgId, Lane<W>>,
    /// The orgs that wait and may have a turn. The first has it.
    ring: BTreeMap<u64, OrgId>,
    /// Numbers of those that wait, and of places in the ring.
    next: u64,
}

/// What is known about one org.
struct Lane<W> {
    rule: Rule,
    inside: usize,
    waiting: BTreeMap<u64, W>,
    /// Its place in the ring.
    place: Option<u64>,
    /// How many turns it has before the next org.
    turns: u16,
    tally: Tally,
    /// How long its runs are inside: a moving average, an eighth for the newest (as TCP has it for round trips, RFC 6298).
    held: Option<Duration>,
}

/// What an org was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) weight: NonZeroU16,
    pub(crate) own: Option<NonZeroUsize>,
    pub(crate) queue: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    started: u64,
    finished: u64,
    abandoned: u64,
    peak_inside: usize,
    peak_waiting: usize,
}

/// What an org looks like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) inside: usize,
    pub(crate) waiting: usize,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    pub(crate) abandoned: u64,
    pub(crate) peak_inside: usize,
    pub(crate) peak_waiting: usize,
}

/// What becomes of one that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// It is inside.
    In,
    /// It has to wait; there is room for that.
    Wait,
    /// There is no room.
    Full,
}

/// How one leaves that was inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It did what it came for, and took so long.
    Finished(Duration),
    /// It had gone before it learned that it was its turn.
    Abandoned,
    /// It was refused after all.
    Refused,
}

impl<W> Line<W> {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self {
            most: most.get(),
            inside: 0,
            lanes: FxHashMap::default(),
            ring: BTreeMap::new(),
            next: 0,
        }
    }

    /// One of this org comes.
    pub(crate) fn come(&mut self, org: OrgId) -> Coming {
        // Where somebody waits that may have a turn, a place that is free is about to be given to them.
        let has_room = self.inside < self.most && self.ring.is_empty();
        let Some(lane) = self.lanes.get_mut(&org) else {
            return Coming::Full;
        };
        if has_room && lane.waiting.is_empty() && lane.has_room() {
            self.inside += 1;
            lane.start();
            return Coming::In;
        }
        if lane.waiting.len() < lane.rule.queue {
            Coming::Wait
        } else {
            Coming::Full
        }
    }

    /// It waits, and has this number.
    pub(crate) fn wait(&mut self, org: OrgId, waiter: W) -> u64 {
        let number = self.number();
        if let Some(lane) = self.lanes.get_mut(&org) {
            lane.waiting.insert(number, waiter);
            lane.tally.peak_waiting = lane.tally.peak_waiting.max(lane.waiting.len());
        }
        self.settle(org);
        number
    }

    /// It waits no more; `None` if it does not wait.
    pub(crate) fn remove(&mut self, org: OrgId, number: u64) -> Option<W> {
        let waiter = self.lanes.get_mut(&org)?.waiting.remove(&number)?;
        self.settle(org);
        Some(waiter)
    }

    /// One that waits no more has gone of its own.
    pub(crate) fn abandoned(&mut self, org: OrgId) {
        if let Some(lane) = self.lanes.get_mut(&org) {
            lane.tally.abandoned += 1;
        }
    }

    /// All that wait of this org, in order, who wait no more.
    pub(crate) fn drain(&mut self, org: OrgId) -> Vec<W> {
        let waiting = self.lanes.get_mut(&org).map(|lane| {
            let waiting = std::mem::take(&mut lane.waiting);
            waiting.into_values().collect()
        });
        self.settle(org);
        waiting.unwrap_or_default()
    }

    /// One of this org is inside no more.
    pub(crate) fn leave(&mut self, org: OrgId, how: Left) {
        self.inside = self.inside.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&org) {
            lane.leave(how);
        }
        self.settle(org);
    }

    /// Whoever has a turn, if there is room. It is inside.
    pub(crate) fn turn(&mut self) -> Option<(OrgId, W)> {
        if self.inside >= self.most {
            return None;
        }
        let (_, org) = self.ring.first_key_value()?;
        let org = *org;
        let lane = self.lanes.get_mut(&org)?;
        let (_, waiter) = lane.waiting.pop_first()?;
        self.inside += 1;
        lane.start();
        if lane.turns == 0 {
            lane.turns = lane.rule.weight.get();
        }
        lane.turns -= 1;
        if lane.turns == 0 {
            // To the end of the ring, if there is more.
            if let Some(place) = lane.place.take() {
                self.ring.remove(&place);
            }
        }
        self.settle(org);
        Some((org, waiter))
    }

    /// Holds an org to this from now on. Those inside stay.
    pub(crate) fn rule(&mut self, org: OrgId, rule: Rule) {
        let lane = self.lanes.entry(org).or_insert_with(|| Lane::new(rule));
        lane.rule = rule;
        lane.turns = lane.turns.min(rule.weight.get());
        self.settle(org);
    }

    /// Lets so many in from now on. Those inside stay.
    pub(crate) fn set_most(&mut self, most: NonZeroUsize) {
        self.most = most.get();
    }

    /// Forgets an org of which nobody is inside or waits.
    pub(crate) fn forget(&mut self, org: OrgId) -> bool {
        let is_idle = |lane: &Lane<W>| lane.inside == 0 && lane.waiting.is_empty();
        self.lanes.get(&org).is_none_or(is_idle) && {
            self.lanes.remove(&org);
            true
        }
    }

    pub(crate) fn seen(&self, org: OrgId) -> Seen {
        self.lanes.get(&org).map(Lane::seen).unwrap_or_default()
    }

    /// How long one that comes now might have to wait: as long as those of its org that are before it take, at as many at a time as
    /// are inside (Little's law). A second for each while none has ended yet.
    pub(crate) fn might_take(&self, org: OrgId) -> Duration {
        let Some(lane) = self.lanes.get(&org) else {
            return GUESS;
        };
        let before = u32::try_from(lane.waiting.len() + 1).unwrap_or(u32::MAX);
        let at_once = u32::try_from(lane.inside.max(1)).unwrap_or(u32::MAX);
        lane.held.unwrap_or(GUESS).saturating_mul(before) / at_once
    }

    /// Puts an org into the ring or out of it, as it should be.
    fn settle(&mut self, org: OrgId) {
        let Some(lane) = self.lanes.get_mut(&org) else {
            return;
        };
        let is_due = !lane.waiting.is_empty() && lane.has_room();
        match (is_due, lane.place) {
            (true, None) => {
                let place = self.next;
                self.next += 1;
                lane.place = Some(place);
                self.ring.insert(place, org);
            }
            (false, Some(place)) => {
                lane.place = None;
                lane.turns = 0;
                self.ring.remove(&place);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

const GUESS: Duration = Duration::from_secs(1);

impl<W> Lane<W> {
    fn new(rule: Rule) -> Self {
        Self {
            rule,
            inside: 0,
            waiting: BTreeMap::new(),
            place: None,
            turns: 0,
            tally: Tally::default(),
            held: None,
        }
    }

    fn has_room(&self) -> bool {
        self.rule.own.is_none_or(|own| self.inside < own.get())
    }

    fn start(&mut self) {
        self.inside += 1;
        self.tally.started += 1;
        self.tally.peak_inside = self.tally.peak_inside.max(self.inside);
    }

    fn leave(&mut self, how: Left) {
        self.inside = self.inside.saturating_sub(1);
        match how {
            Left::Finished(took) => {
                self.tally.finished += 1;
                self.held = Some(self.held.map_or(took, |held| (held * 7 + took) / 8));
            }
            Left::Abandoned => {
                self.tally.started -= 1;
                self.tally.abandoned += 1;
            }
            Left::Refused => self.tally.started -= 1,
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            inside: self.inside,
            waiting: self.waiting.len(),
            started: self.tally.started,
            finished: self.tally.finished,
            abandoned: self.tally.abandoned,
            peak_inside: self.tally.peak_inside,
            peak_waiting: self.tally.peak_waiting,
        }
    }
}
