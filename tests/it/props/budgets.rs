//! Budgets against an oracle that adds everything up from the start, and under many threads.

use std::sync::atomic::{AtomicU64, Ordering};

use stageflow::context::{BudgetErrorKind, Reservation};
use stageflow::prelude::*;
use stageflow_testkit::Property;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;

#[derive(Clone, Debug)]
enum Act {
    Reserve { at: usize, tokens: u64, steps: u64 },
    Settle { which: usize, tokens: u64 },
    Drop { which: usize },
    Spend { at: usize, tokens: u64 },
    Raise { at: usize, tokens: u64 },
}

/// The parent of each level after the first, and the limits of all.
type Tree = (Vec<usize>, Vec<(Option<u64>, Option<u64>)>);

fn cases() -> impl Strategy<Value = (Tree, Vec<Act>)> {
    const LEVELS: usize = 5;
    let parents = proptest::collection::vec(any::<usize>(), LEVELS - 1);
    let parents = parents.prop_map(|any| (1..).zip(any).map(|(at, any)| any % at).collect());
    let limit = || proptest::option::of(0..200_u64);
    let limits = proptest::collection::vec((limit(), limit()), LEVELS);
    let act = prop_oneof![
        4 => (0..LEVELS, 0..80_u64, 0..40_u64)
            .prop_map(|(at, tokens, steps)| Act::Reserve { at, tokens, steps }),
        3 => (0..6_usize, 0..120_u64).prop_map(|(which, tokens)| Act::Settle { which, tokens }),
        1 => (0..6_usize).prop_map(|which| Act::Drop { which }),
        1 => (0..LEVELS, 0..60_u64).prop_map(|(at, tokens)| Act::Spend { at, tokens }),
        1 => (0..LEVELS, 0..60_u64).prop_map(|(at, tokens)| Act::Raise { at, tokens }),
    ];
    ((parents, limits), proptest::collection::vec(act, 1..40))
}

struct Bench {
    parents: Vec<usize>,
    levels: Vec<Budget>,
    /// Tokens and steps.
    limits: Vec<[Option<u64>; 2]>,
    held: Vec<(usize, [u64; 2], Reservation)>,
    /// Everything that was ever booked.
    booked: Vec<(usize, [u64; 2])>,
    overrun: Vec<[u64; 2]>,
}

impl Bench {
    fn new((parents, limits): &Tree) -> Self {
        let mut levels: Vec<Budget> = Vec::new();
        for (at, (tokens, steps)) in limits.iter().enumerate() {
            let mut limits = BudgetLimits::new();
            limits = tokens.map_or(limits, |tokens| limits.tokens(tokens));
            limits = steps.map_or(limits, |steps| limits.steps(steps));
            let level = match at {
                0 => Budget::new("root", limits),
                at => levels[parents[at - 1]]
                    .child(format!("l{at}"), limits)
                    .unwrap(),
            };
            levels.push(level);
        }
        Self {
            parents: parents.clone(),
            levels,
            limits: limits
                .iter()
                .map(|(tokens, steps)| [*tokens, *steps])
                .collect(),
            held: Vec::new(),
            booked: Vec::new(),
            overrun: vec![[0; 2]; limits.len()],
        }
    }

    /// A level and those above it.
    fn path(&self, mut at: usize) -> Vec<usize> {
        let mut path = vec![at];
        while at > 0 {
            at = self.parents[at - 1];
            path.push(at);
        }
        path
    }

    /// What is spent and what is reserved of a level, added up from the start.
    fn sums(&self, level: usize, what: usize) -> (u64, u64) {
        let below = |at: &usize| self.path(*at).contains(&level);
        let spent = self.booked.iter().filter(|(at, _)| below(at));
        let held = self.held.iter().filter(|(at, ..)| below(at));
        (
            spent.map(|(_, used)| used[what]).sum(),
            held.map(|(_, want, _)| want[what]).sum(),
        )
    }

    /// Writes down what goes beyond a limit when more is used than was reserved.
    fn book(&mut self, at: usize, want: [u64; 2], used: [u64; 2]) -> bool {
        self.booked.push((at, used));
        let mut any = false;
        for level in self.path(at) {
            for what in 0..2 {
                let (spent, held) = self.sums(level, what);
                let limit = self.limits[level][what].unwrap_or(u64::MAX);
                let more = used[what].saturating_sub(want[what]);
                let over = (spent + held).saturating_sub(limit).min(more);
                self.overrun[level][what] += over;
                any |= over > 0;
            }
        }
        any
    }

    fn act(&mut self, act: &Act) -> TestCaseResult {
        match *act {
            Act::Reserve { at, tokens, steps } => {
                let want = [tokens, steps];
                let fits = |level: usize| {
                    (0..2).all(|what| {
                        let (spent, held) = self.sums(level, what);
                        let limit = self.limits[level][what].unwrap_or(u64::MAX);
                        want[what] == 0 || spent + held + want[what] <= limit
                    })
                };
                let fits = self.path(at).into_iter().all(fits);
                let asked = Amounts::tokens(tokens) + Amounts::steps(steps);
                match self.levels[at].reserve(asked) {
                    Ok(reservation) => {
                        prop_assert!(fits, "it does not fit");
                        self.held.push((at, want, reservation));
                    }
                    Err(error) => {
                        prop_assert!(!fits, "{error}");
                        prop_assert_eq!(error.kind(), BudgetErrorKind::Exceeded);
                    }
                }
            }
            Act::Settle { which, tokens } if which < self.held.len() => {
                let (at, want, reservation) = self.held.remove(which);
                let over = self.book(at, want, [tokens, want[1]]);
                let booked = reservation.settle(Amounts::tokens(tokens) + Amounts::steps(want[1]));
                prop_assert_eq!(booked.overrun().is_some(), over);
            }
            Act::Drop { which } if which < self.held.len() => drop(self.held.remove(which)),
            Act::Settle { .. } | Act::Drop { .. } => {}
            Act::Spend { at, tokens } => {
                let over = self.book(at, [0; 2], [tokens, 0]);
                let booked = self.levels[at].spend(Amounts::tokens(tokens));
                prop_assert_eq!(booked.overrun().is_some(), over);
            }
            Act::Raise { at, tokens } => {
                self.levels[at].raise(Amounts::tokens(tokens));
                let limit = &mut self.limits[at][0];
                *limit = limit.map(|limit| limit + tokens);
            }
        }
        Ok(())
    }

    fn compare(&self) -> TestCaseResult {
        for (at, level) in self.levels.iter().enumerate() {
            let [tokens, steps] = [0, 1].map(|what| self.sums(at, what));
            let amounts = |tokens, steps| Amounts::tokens(tokens) + Amounts::steps(steps);
            prop_assert_eq!(level.spent(), amounts(tokens.0, steps.0));
            prop_assert_eq!(level.reserved(), amounts(tokens.1, steps.1));
            let [over_tokens, over_steps] = self.overrun[at];
            prop_assert_eq!(level.overrun(), amounts(over_tokens, over_steps));
            let left = |what| {
                let left = |level: usize| {
                    let (spent, held) = self.sums(level, what);
                    Some(self.limits[level][what]?.saturating_sub(spent + held))
                };
                self.path(at).into_iter().filter_map(left).min()
            };
            prop_assert_eq!(
                (level.left().tokens, level.left().steps),
                (left(0), left(1))
            );
            for (what, used) in [tokens, steps].iter().enumerate() {
                let limit = self.limits[at][what].unwrap_or(u64::MAX);
                prop_assert!(used.0 + used.1 - self.overrun[at][what] <= limit);
            }
        }
        Ok(())
    }
}

#[test]
fn a_budget_adds_up() {
    Property::new("a budget adds up on every level, whatever is done")
        .cases(2_000)
        .each_counts_as(4)
        .holds_for(&cases(), |(tree, acts)| {
            let mut bench = Bench::new(&tree);
            for act in &acts {
                bench.act(act)?;
                bench.compare()?;
            }
            Ok(())
        });
}

#[test]
fn threads_that_reserve_at_the_same_time_never_overshoot() {
    const LIMITS: [u64; 3] = [100, 70, 50];
    let root = Budget::new("root", BudgetLimits::new().tokens(LIMITS[0]));
    let left = root
        .child("left", BudgetLimits::new().tokens(LIMITS[1]))
        .unwrap();
    let right = root
        .child("right", BudgetLimits::new().tokens(LIMITS[2]))
        .unwrap();
    let levels = [&root, &left, &right];
    let out = [const { AtomicU64::new(0) }; 3];
    let most = [const { AtomicU64::new(0) }; 3];
    let granted = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let (out, most, granted) = (&out, &most, &granted);
            threads.spawn(move || {
                for round in 0..20_000_u64 {
                    let (at, want) = ((round % 3) as usize, 1 + (round * 7 + thread) % 40);
                    let Ok(held) = levels[at].reserve(Amounts::tokens(want)) else {
                        continue;
                    };
                    granted.fetch_add(1, Ordering::Relaxed);
                    let path: &[usize] = if at == 0 { &[0] } else { &[at, 0] };
                    for level in path {
                        let now = out[*level].fetch_add(want, Ordering::SeqCst) + want;
                        most[*level].fetch_max(now, Ordering::SeqCst);
                    }
                    // Others have their turn while it is held.
                    std::thread::yield_now();
                    for level in path {
                        let reserved = levels[*level].reserved().tokens;
                        assert!(reserved <= LIMITS[*level], "{reserved} of level {level}");
                        out[*level].fetch_sub(want, Ordering::SeqCst);
                    }
                    drop(held);
                }
            });
        }
    });
    for (level, limit) in levels.iter().zip(LIMITS) {
        assert_eq!(
            (level.reserved(), level.spent()),
            (Amounts::ZERO, Amounts::ZERO)
        );
        assert_eq!(level.left().tokens, Some(limit));
    }
    for (most, limit) in most.iter().zip(LIMITS) {
        assert!(most.load(Ordering::SeqCst) <= limit, "{most:?} of {limit}");
    }
    assert!(granted.load(Ordering::Relaxed) > 10_000);
}
