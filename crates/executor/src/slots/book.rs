//! Who has which units, and who waits for them. Pure: no clock, no runtime, no await.
//!
//! Those who wait for the same units with the same priority are a group, and first in, first out. Only the head of a group
//! is looked at, so a grant takes O(groups), however many wait.
//!
//! # The one rule
//!
//! Pools are in a fixed order: limits of stages, limits of pipelines from the inside out, named pools, the engine's slots. A
//! head that cannot be served has, in this order, everything it needs set aside for it, up to and including the first pool
//! that lacks units; so nobody passes it for ever, and nothing is set aside that it could not use yet. Within a pool the
//! [clock](super::clock) says whose turn it is. Units are taken when all of them are there, and at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Waker;

use super::Priority;
use super::clock::{Clock, Tag};

/// A pool in the book. Those with a higher number come first in the order of pools; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PoolId(u64);

/// Units of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Need {
    pub(super) pool: PoolId,
    pub(super) units: NonZeroU32,
}

/// Everything that is taken at once, each pool named once, in the order of pools.
pub(super) type Needs = Arc<[Need]>;

/// Whether somebody comes for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Standing {
    /// It has had its units before, and is served before those that come new.
    Returning,
    /// It comes new.
    New,
}

/// A place in a group's line.
pub(super) type Rank = (Standing, u64);

/// Those that wait for the same with the same priority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) class: Priority,
    pub(super) needs: Needs,
}

#[derive(Debug, Default)]
struct Group {
    line: BTreeMap<Rank, Option<Waker>>,
    /// The turn of its head in each pool.
    tags: Vec<Tag>,
}

#[derive(Debug)]
struct Pool {
    capacity: u64,
    in_use: u64,
    clock: Clock,
}

/// In which order heads are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Each class has its share.
    #[default]
    Fair,
    /// A broken engine serves the highest priority first, and so perhaps nobody else.
    Strict,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pools: BTreeMap<PoolId, Pool>,
    next_pool: u64,
    groups: BTreeMap<GroupKey, Group>,
    next_rank: u64,
    order: Order,
}

impl Book {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            ..Self::default()
        }
    }

    /// Opens a pool, which comes before all that are open.
    pub(super) fn open(&mut self, capacity: u64) -> PoolId {
        let id = PoolId(self.next_pool);
        self.next_pool += 1;
        let (in_use, clock) = (0, Clock::default());
        self.pools.insert(
            id,
            Pool {
                capacity,
                in_use,
                clock,
            },
        );
        id
    }

    /// Closes a pool that nobody uses or waits for.
    pub(super) fn close(&mut self, pool: PoolId) {
        self.pools.remove(&pool);
    }

    /// Takes the units if they are free and nobody waits for anything.
    pub(super) fn try_take(&mut self, needs: &Needs) -> bool {
        let free = |need: &Need| {
            self.pools
                .get(&need.pool)
                .is_some_and(|pool| pool.in_use + u64::from(need.units.get()) <= pool.capacity)
        };
        let free = self.groups.is_empty() && needs.iter().all(free);
        if free {
            self.take(needs);
        }
        free
    }

    /// Takes the units, or gets in line; then the place in it is given. Wakers of whoever is served are collected.
    pub(super) fn ask(
        &mut self,
        key: &GroupKey,
        standing: Standing,
        wakers: &mut Vec<Waker>,
    ) -> Option<Rank> {
        if self.try_take(&key.needs) {
            return None;
        }
        let rank = (standing, self.next_rank);
        self.next_rank += 1;
        if let Some(group) = self.groups.get_mut(key) {
            // The head, or what it needs, is the same as before: nobody can be served who could not be before.
            group.line.insert(rank, None);
            return Some(rank);
        }
        let group = Group {
            line: BTreeMap::from([(rank, None)]),
            tags: self.issue(key),
        };
        self.groups.insert(key.clone(), group);
        self.settle(wakers);
        self.is_waiting(key, rank).then_some(rank)
    }

    /// Whether somebody still waits; if so, this waker is told when that changes, and the one before it is handed out: what
    /// happens when a waker is dropped is not known here.
    pub(super) fn wait(&mut self, key: &GroupKey, rank: Rank, waker: &mut Option<Waker>) -> bool {
        let group = self.groups.get_mut(key);
        let Some(place) = group.and_then(|group| group.line.get_mut(&rank)) else {
            return false;
        };
        std::mem::swap(place, waker);
        true
    }

    /// Takes somebody out of the line, and hands out its waker. `false` if it is not there any more: it has its units.
    pub(super) fn leave(
        &mut self,
        key: &GroupKey,
        rank: Rank,
        waker: &mut Option<Waker>,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        let Some(group) = self.groups.get_mut(key) else {
            return false;
        };
        let Some(known) = group.line.remove(&rank) else {
            return false;
        };
        *waker = known;
        if group.line.is_empty() {
            self.groups.remove(key);
            for need in &*key.needs {
                if let Some(pool) = self.pools.get_mut(&need.pool) {
                    pool.clock.refund(key.class, need.units);
                }
            }
            // What was set aside for it is free for others.
            self.settle(wakers);
        }
        true
    }

    /// Gives units back.
    pub(super) fn give_back(&mut self, needs: &Needs, wakers: &mut Vec<Waker>) {
        for need in &**needs {
            if let Some(pool) = self.pools.get_mut(&need.pool) {
                pool.in_use = pool.in_use.saturating_sub(need.units.get().into());
            }
        }
        self.settle(wakers);
    }

    /// Of a pool: its capacity, and how much of it is in use.
    pub(super) fn level(&self, pool: PoolId) -> Option<(u64, u64)> {
        let pool = self.pools.get(&pool)?;
        Some((pool.capacity, pool.in_use))
    }

    /// How many wait for units of a pool, by class.
    pub(super) fn waiting(&self, pool: PoolId) -> BTreeMap<Priority, usize> {
        let mut waiting = BTreeMap::new();
        for (key, group) in &self.groups {
            if key.needs.iter().any(|need| need.pool == pool) {
                *waiting.entry(key.class).or_default() += group.line.len();
            }
        }
        waiting
    }

    fn is_waiting(&self, key: &GroupKey, rank: Rank) -> bool {
        let group = self.groups.get(key);
        group.is_some_and(|group| group.line.contains_key(&rank))
    }

    fn take(&mut self, needs: &Needs) {
        for need in &**needs {
            if let Some(pool) = self.pools.get_mut(&need.pool) {
                pool.in_use += u64::from(need.units.get());
            }
        }
    }

    /// A turn in each pool for a new head.
    fn issue(&mut self, key: &GroupKey) -> Vec<Tag> {
        if self.order == Order::Strict {
            let tag = Tag::from(u16::MAX - key.class.weight().get());
            return vec![tag; key.needs.len()];
        }
        let turn = |need: &Need| match self.pools.get_mut(&need.pool) {
            Some(pool) => pool.clock.issue(key.class, need.units),
            None => 0,
        };
        key.needs.iter().map(turn).collect()
    }

    /// Serves everybody who can be served, one after the other: each one served changes whose turn it is.
    fn settle(&mut self, wakers: &mut Vec<Waker>) {
        while let Some(key) = self.next() {
            self.serve(&key, wakers);
        }
    }

    /// The group whose head is served next, if one can be. See [the rule](self).
    fn next(&self) -> Option<GroupKey> {
        let groups: Vec<_> = self.groups.iter().collect();
        // Of the pools the first one, of its heads the one whose turn it is; then which need of which group it is.
        let mut line = BinaryHeap::with_capacity(groups.len());
        let step = |index: usize, at: usize| {
            let (key, group) = groups[index];
            let head = *group.line.first_key_value()?.0;
            Some((
                key.needs.get(at)?.pool,
                Reverse((group.tags[at], head, index, at)),
            ))
        };
        line.extend((0..groups.len()).filter_map(|index| step(index, 0)));
        // What is left of a pool; nothing once somebody has found too little there.
        let mut left = BTreeMap::new();
        while let Some((pool, Reverse((_, _, index, at)))) = line.pop() {
            let free = || {
                let pool = self.pools.get(&pool)?;
                Some(pool.capacity.saturating_sub(pool.in_use))
            };
            let left: &mut Option<u64> = left.entry(pool).or_insert_with(free);
            let units = u64::from(groups[index].0.needs[at].units.get());
            *left = left.and_then(|left| left.checked_sub(units));
            if left.is_some() {
                match step(index, at + 1) {
                    Some(next) => line.push(next),
                    None => return Some(groups[index].0.clone()),
                }
            }
        }
        None
    }

    /// The head of a group has its units.
    fn serve(&mut self, key: &GroupKey, wakers: &mut Vec<Waker>) {
        self.take(&key.needs);
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        if let Some((_, waker)) = group.line.pop_first() {
            wakers.extend(waker);
        }
        for (need, tag) in key.needs.iter().zip(&group.tags) {
            if let Some(pool) = self.pools.get_mut(&need.pool) {
                pool.clock.served(*tag);
            }
        }
        if group.line.is_empty() {
            self.groups.remove(key);
        } else {
            let tags = self.issue(key);
            if let Some(group) = self.groups.get_mut(key) {
                group.tags = tags;
            }
        }
    }
}
