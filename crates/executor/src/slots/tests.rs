//! The book against a ledger that is too simple to be wrong, and against streams that never end.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use stageflow_testkit::Property;

use super::Priority;
use super::book::{Book, GroupKey, Need, Needs, Order, PoolId, Rank, Standing};

/// A book, who was told what, and a ledger beside it.
struct Office {
    book: Book,
    pools: Vec<(PoolId, u64)>,
    waiting: Vec<Client>,
    holding: Vec<Needs>,
    /// Those that were served out of the line, in this order.
    served: VecDeque<usize>,
    clients: usize,
}

struct Client {
    number: usize,
    key: GroupKey,
    rank: Rank,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Office {
    fn new(order: Order, capacities: &[u64]) -> Self {
        let mut book = Book::new(order);
        let open = |capacity: &u64| (book.open(*capacity), *capacity);
        Self {
            pools: capacities.iter().map(open).collect(),
            book,
            waiting: Vec::new(),
            holding: Vec::new(),
            served: VecDeque::new(),
            clients: 0,
        }
    }

    /// What somebody needs: of each of these pools so many units, at most what there is.
    fn needs(&self, wanted: &[(usize, u32)]) -> Needs {
        let mut needs: Vec<Need> = Vec::new();
        for (place, units) in wanted {
            let (pool, capacity) = self.pools[place % self.pools.len()];
            let units = u64::from(*units).clamp(1, capacity) as u32;
            if needs.iter().all(|need| need.pool != pool) {
                let units = NonZeroU32::new(units).unwrap();
                needs.push(Need { pool, units });
            }
        }
        needs.sort_unstable_by(|a, b| b.cmp(a));
        Needs::from(needs)
    }

    /// The number of a new client.
    fn ask(&mut self, class: Priority, needs: &Needs, standing: Standing) -> usize {
        let key = GroupKey {
            class,
            needs: Arc::clone(needs),
        };
        let number = self.clients;
        self.clients += 1;
        let mut wakers = Vec::new();
        match self.book.ask(&key, standing, &mut wakers) {
            None => self.holding.push(Arc::clone(needs)),
            Some(rank) => {
                let bell = Arc::new(Bell::default());
                let mut waker = Some(Waker::from(Arc::clone(&bell)));
                assert!(self.book.wait(&key, rank, &mut waker), "it waits");
                self.waiting.push(Client {
                    number,
                    key,
                    rank,
                    bell,
                });
            }
        }
        self.tell(wakers);
        number
    }

    fn give_back(&mut self, which: usize) {
        let needs = self.holding.remove(which % self.holding.len());
        let mut wakers = Vec::new();
        self.book.give_back(&needs, &mut wakers);
        self.tell(wakers);
    }

    fn leave(&mut self, which: usize) {
        let client = self.waiting.remove(which % self.waiting.len());
        let (mut waker, mut wakers) = (None, Vec::new());
        let left = self
            .book
            .leave(&client.key, client.rank, &mut waker, &mut wakers);
        assert!(left && waker.is_some(), "it waited, and its waker is back");
        self.tell(wakers);
    }

    /// Rings, and moves those whose bell has rung.
    fn tell(&mut self, wakers: Vec<Waker>) {
        wakers.into_iter().for_each(Waker::wake);
        let waiting = std::mem::take(&mut self.waiting);
        for client in waiting {
            let rung = client.bell.0.load(Ordering::Relaxed);
            let mut waker = Some(Waker::from(Arc::clone(&client.bell)));
            let waits = self.book.wait(&client.key, client.rank, &mut waker);
            assert_eq!(rung, usize::from(!waits), "told once, when it is served");
            if waits {
                self.waiting.push(client);
            } else {
                self.served.push_back(client.number);
                self.holding.push(client.key.needs);
            }
        }
    }

    fn held(&self, pool: PoolId) -> u64 {
        let units = |needs: &Needs| -> u64 {
            let of_pool = needs.iter().filter(|need| need.pool == pool);
            of_pool.map(|need| u64::from(need.units.get())).sum()
        };
        self.holding.iter().map(units).sum()
    }

    fn is_waiting(&self, number: usize) -> bool {
        self.waiting.iter().any(|client| client.number == number)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (pool, capacity) in &self.pools {
            let level = self.book.level(*pool);
            prop_assert_eq!(
                level,
                Some((*capacity, self.held(*pool))),
                "the ledger agrees"
            );
            prop_assert!(self.held(*pool) <= *capacity, "never more than there is");
            let waiting = self.book.waiting(*pool).values().sum::<usize>();
            let needs = |client: &&Client| client.key.needs.iter().any(|need| need.pool == *pool);
            prop_assert_eq!(waiting, self.waiting.iter().filter(needs).count());
        }
        prop_assert!(
            self.waiting.is_empty() || !self.holding.is_empty(),
            "nobody waits for what nobody has"
        );
        let disjoint = |a: &Needs, b: &Needs| a.iter().all(|a| b.iter().all(|b| a.pool != b.pool));
        for client in &self.waiting {
            let alone = self.waiting.iter().all(|other| {
                other.number == client.number || disjoint(&other.key.needs, &client.key.needs)
            });
            let free = client.key.needs.iter().all(|need| {
                let capacity = self.pools.iter().find(|(pool, _)| *pool == need.pool);
                let left = capacity.unwrap().1 - self.held(need.pool);
                u64::from(need.units.get()) <= left
            });
            prop_assert!(
                !(alone && free),
                "nobody waits for what is free and only it wants"
            );
        }
        Ok(())
    }
}

fn class(weight: u16) -> Priority {
    Priority::weighing(NonZeroU16::new(weight).unwrap())
}

#[derive(Clone, Debug)]
enum Move {
    Ask(u16, Vec<(usize, u32)>, bool),
    GiveBack(usize),
    Leave(usize),
}

fn moves() -> impl Strategy<Value = (Vec<u64>, Vec<Move>)> {
    let wanted = prop::collection::vec((0..4_usize, 1..4_u32), 1..4);
    let one = prop_oneof![
        4 => (1..4_u16, wanted, any::<bool>()).prop_map(|(w, n, back)| Move::Ask(w, n, back)),
        3 => any::<usize>().prop_map(Move::GiveBack),
        1 => any::<usize>().prop_map(Move::Leave),
    ];
    let capacities = prop::collection::vec(1..5_u64, 1..5);
    (capacities, prop::collection::vec(one, 1..120))
}

#[test]
fn every_unit_is_somewhere_and_nobody_is_forgotten() {
    let property = Property::new("the book agrees with a ledger").cases(512);
    property.holds_for(&moves(), |(capacities, moves)| {
        let mut office = Office::new(Order::Fair, &capacities);
        for one in moves {
            match one {
                Move::Ask(weight, wanted, back) => {
                    let needs = office.needs(&wanted);
                    let standing = if back {
                        Standing::Returning
                    } else {
                        Standing::New
                    };
                    office.ask(class(weight), &needs, standing);
                }
                Move::GiveBack(which) if !office.holding.is_empty() => office.give_back(which),
                Move::Leave(which) if !office.waiting.is_empty() => office.leave(which),
                Move::GiveBack(_) | Move::Leave(_) => {}
            }
            office.check()?;
        }
        // Whoever still waits is served once the others are done.
        while !office.holding.is_empty() {
            office.give_back(0);
            office.check()?;
        }
        prop_assert!(office.waiting.is_empty());
        Ok(())
    });
}

#[test]
fn whoever_waits_is_served_although_others_never_stop_coming() {
    let property = Property::new("nobody is passed for ever").cases(256);
    let streams = prop::collection::vec(
        (
            1..20_u16,
            prop::collection::vec((0..4_usize, 1..4_u32), 1..4),
        ),
        1..6,
    );
    let cases = (
        prop::collection::vec(1..5_u64, 1..5),
        streams,
        prop::collection::vec((0..4_usize, 1..4_u32), 1..4),
        prop::collection::vec(any::<usize>(), 1..50),
    );
    property.holds_for(&cases, |(capacities, streams, wanted, order)| {
        let mut office = Office::new(Order::Fair, &capacities);
        let feed = |office: &mut Office| {
            for (weight, wanted) in &streams {
                let needs = office.needs(wanted);
                let same = |client: &&Client| client.key.needs == needs;
                // There is always one more, but not a million of them.
                if office.waiting.iter().filter(same).count() < 4 {
                    office.ask(class(*weight), &needs, Standing::New);
                }
            }
        };
        feed(&mut office);
        let needs = office.needs(&wanted);
        let patient = office.ask(class(1), &needs, Standing::New);
        let mut rounds = 0;
        while office.is_waiting(patient) {
            prop_assert!(rounds < 2_000, "it was passed {rounds} times");
            // Whoever has something gives it back at some time, in an order that somebody thought of to annoy it.
            let which = order[rounds / 2 % order.len()];
            office.give_back(if rounds % 2 == 0 { which } else { 0 });
            feed(&mut office);
            rounds += 1;
        }
        Ok(())
    });
}

/// The shares of two classes that always want one more.
fn shares(order: Order, weights: [u16; 2], turns: usize) -> [usize; 2] {
    let mut office = Office::new(order, &[1]);
    let needs = office.needs(&[(0, 1)]);
    let mut of = Vec::new();
    let mut served = [0; 2];
    let ask = |office: &mut Office, of: &mut Vec<usize>, which: usize| {
        let number = office.ask(class(weights[which]), &needs, Standing::New);
        of.resize(number + 1, which);
        of[number] = which;
    };
    for which in [0, 1, 0, 1] {
        ask(&mut office, &mut of, which);
    }
    for _ in 0..turns {
        office.give_back(0);
        let which = of[office.served.pop_front().unwrap()];
        served[which] += 1;
        ask(&mut office, &mut of, which);
    }
    served
}

#[test]
fn shares_are_as_the_weights() {
    let served = shares(Order::Fair, [1, 8], 900);
    assert!(
        (99..=101).contains(&served[0]),
        "a ninth of 900: {served:?}"
    );
    let served = shares(Order::Fair, [3, 5], 800);
    assert!(
        (299..=301).contains(&served[0]),
        "three eighths of 800: {served:?}"
    );
}

#[test]
fn without_fairness_the_low_ones_starve() {
    assert_eq!(shares(Order::Strict, [1, 8], 900)[0], 0);
}

#[test]
fn within_a_group_the_first_is_first_and_who_comes_back_before_all() {
    let mut office = Office::new(Order::Fair, &[1]);
    let needs = office.needs(&[(0, 1)]);
    office.ask(Priority::LOW, &needs, Standing::New);
    let first = office.ask(Priority::LOW, &needs, Standing::New);
    let second = office.ask(Priority::LOW, &needs, Standing::New);
    let back = office.ask(Priority::LOW, &needs, Standing::Returning);
    for _ in 0..3 {
        office.give_back(0);
    }
    assert_eq!(office.served, [back, first, second]);
}

#[test]
fn what_a_head_needs_is_kept_for_it() {
    // The wide one needs all four; others need one each, and never stop coming.
    let mut office = Office::new(Order::Fair, &[4]);
    let (one, all) = (office.needs(&[(0, 1)]), office.needs(&[(0, 4)]));
    for _ in 0..4 {
        office.ask(Priority::HIGH, &one, Standing::New);
    }
    let wide = office.ask(Priority::LOW, &all, Standing::New);
    for given_back in 1..=4 {
        assert!(office.is_waiting(wide));
        office.ask(Priority::HIGH, &one, Standing::New);
        office.give_back(0);
        let kept = office.book.level(office.pools[0].0);
        assert!(
            given_back == 4 || kept == Some((4, 4 - given_back)),
            "nobody slips in: {kept:?}"
        );
    }
    assert!(!office.is_waiting(wide));
}

#[test]
fn what_it_cannot_use_yet_is_not_kept() {
    // Pools opened later come first: the second one is a limit, the first one the engine's slots.
    let mut office = Office::new(Order::Fair, &[2, 1]);
    let (slot, limited) = (office.needs(&[(0, 1)]), office.needs(&[(0, 1), (1, 1)]));
    office.ask(Priority::NORMAL, &limited, Standing::New);
    let held_up = office.ask(Priority::NORMAL, &limited, Standing::New);
    // A slot is free, and the one that is held up by its limit does not keep it.
    let other = office.ask(Priority::NORMAL, &slot, Standing::New);
    assert!(office.is_waiting(held_up) && !office.is_waiting(other));
}

#[test]
fn two_that_take_the_same_pools_in_turns_cannot_starve_a_third() {
    let mut office = Office::new(Order::Fair, &[1, 1]);
    let (a, b) = (office.needs(&[(0, 1)]), office.needs(&[(1, 1)]));
    let both = office.needs(&[(0, 1), (1, 1)]);
    office.ask(Priority::NORMAL, &a, Standing::New);
    let third = office.ask(Priority::NORMAL, &both, Standing::New);
    // Whenever one pool is given back the other one is taken by somebody who needs only that.
    for turn in 0..4 {
        let needs = if turn % 2 == 0 { &b } else { &a };
        office.ask(Priority::NORMAL, needs, Standing::New);
        office.give_back(0);
        if !office.is_waiting(third) {
            return;
        }
    }
    panic!("it still waits");
}
