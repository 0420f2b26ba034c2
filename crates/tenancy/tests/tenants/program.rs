//! Random programs of runs that come, finish and go away, against a model that does it slowly and obviously.

use std::collections::VecDeque;

use proptest::prelude::*;
use stageflow_interceptors::Pass;
use stageflow_tenancy::{Quota, Tenants, Tier};
use stageflow_testkit::{Property, paused};

use crate::support::{Asking, org, size, weight};

/// What an org was promised.
#[derive(Clone, Debug)]
struct Promise {
    weight: u16,
    own: Option<usize>,
    queue: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Comes(usize),
    /// The `n`th of those inside, around and around.
    Finishes(usize),
    /// The `n`th of those that wait, around and around.
    Goes(usize),
    Suspends(usize),
    Resumes(usize),
}

/// What becomes of each run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waits,
    Inside,
    Over,
    Full,
    Suspended,
    Gone,
}

struct Model {
    at_a_time: usize,
    promises: Vec<Promise>,
    suspended: Vec<bool>,
    runs: Vec<(usize, State)>,
    ring: VecDeque<usize>,
    /// How many turns the first of the ring has left.
    left: u16,
}

impl Model {
    fn count(&self, org: usize, state: State) -> usize {
        self.runs.iter().filter(|run| **run == (org, state)).count()
    }

    fn inside(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| run.1 == State::Inside)
            .count()
    }

    fn is_due(&self, org: usize) -> bool {
        let own = self.promises[org].own.unwrap_or(usize::MAX);
        self.count(org, State::Waits) > 0 && self.count(org, State::Inside) < own
    }

    /// Everybody that is due is in the ring, whoever is not is not, and free places are given.
    fn settle(&mut self) {
        loop {
            if self.ring.front().is_some_and(|first| !self.is_due(*first)) {
                self.left = 0;
            }
            let ring = std::mem::take(&mut self.ring);
            self.ring = ring.into_iter().filter(|org| self.is_due(*org)).collect();
            for org in 0..self.promises.len() {
                if self.is_due(org) && !self.ring.contains(&org) {
                    self.ring.push_back(org);
                }
            }
            let Some(first) = self.ring.front().copied() else {
                return;
            };
            if self.inside() >= self.at_a_time {
                return;
            }
            if self.left == 0 {
                self.left = self.promises[first].weight;
            }
            let oldest = self
                .runs
                .iter_mut()
                .find(|run| **run == (first, State::Waits));
            oldest.unwrap().1 = State::Inside;
            self.left -= 1;
            if self.left == 0 {
                self.ring.pop_front();
            }
        }
    }

    fn comes(&mut self, org: usize) {
        let state = match self.promises[org].queue {
            _ if self.suspended[org] => State::Suspended,
            queue if self.count(org, State::Waits) < queue => State::Waits,
            // It is let in at once, or not at all.
            _ => {
                let own = self.promises[org].own.unwrap_or(usize::MAX);
                let room = self.inside() < self.at_a_time && self.count(org, State::Inside) < own;
                match room && self.count(org, State::Waits) == 0 {
                    true => State::Inside,
                    false => State::Full,
                }
            }
        };
        self.runs.push((org, state));
        self.settle();
    }

    fn nth(&self, state: State, n: usize) -> Option<usize> {
        let all: Vec<_> = (0..self.runs.len())
            .filter(|at| self.runs[*at].1 == state)
            .collect();
        all.get(n % all.len().max(1)).copied()
    }
}

/// What is really there of each run.
enum Real {
    Asks(Asking),
    Has { _pass: Pass },
    Nothing(State),
}

impl Real {
    fn state(&self) -> State {
        match self {
            Self::Asks(_) => State::Waits,
            Self::Has { .. } => State::Inside,
            Self::Nothing(state) => *state,
        }
    }

    /// Goes on as far as it can.
    fn go_on(&mut self) {
        if let Self::Asks(asking) = self
            && let Some(said) = asking.poll()
        {
            *self = match said.answer {
                Ok(pass) => Self::Has { _pass: pass },
                Err(refusal) if refusal.code() == "SF0653" => Self::Nothing(State::Suspended),
                Err(_) => Self::Nothing(State::Full),
            };
        }
    }
}

fn promises() -> impl Strategy<Value = Vec<Promise>> {
    let own = prop_oneof![Just(None), (1_usize..4).prop_map(Some)];
    let promise =
        (1_u16..5, own, 0_usize..5).prop_map(|(weight, own, queue)| Promise { weight, own, queue });
    prop::collection::vec(promise, 1..5)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..5).prop_map(Step::Comes),
        6 => any::<usize>().prop_map(Step::Finishes),
        3 => any::<usize>().prop_map(Step::Goes),
        1 => (0_usize..5).prop_map(Step::Suspends),
        1 => (0_usize..5).prop_map(Step::Resumes),
    ];
    prop::collection::vec(step, 1..80)
}

fn build(promises: &[Promise], at_a_time: usize) -> Tenants {
    let mut builder = Tenants::builder().runs_at_a_time(size(at_a_time));
    for (n, promise) in promises.iter().enumerate() {
        let quota = match promise.queue {
            0 => Quota::new().no_queue(),
            queue => Quota::new().queue(size(queue)),
        };
        let quota = match promise.own {
            Some(own) => quota.runs(size(own)),
            None => quota,
        };
        let tier = Tier::new(format!("{n}"))
            .weight(weight(promise.weight))
            .quota(quota);
        builder = builder.tier(tier).tenant(org(n), format!("{n}"));
    }
    builder.build().unwrap()
}

#[test]
fn every_run_is_where_the_model_says() {
    Property::new("random programs do what the model does")
        .cases(400)
        .holds_for(
            &(promises(), 1_usize..5, steps()),
            |(promises, at_a_time, steps)| paused(async { play(&promises, at_a_time, &steps) }),
        );
}

fn play(promises: &[Promise], at_a_time: usize, steps: &[Step]) -> Result<(), TestCaseError> {
    let tenants = build(promises, at_a_time);
    let mut model = Model {
        at_a_time,
        promises: promises.to_vec(),
        suspended: vec![false; promises.len()],
        runs: Vec::new(),
        ring: VecDeque::new(),
        left: 0,
    };
    let mut real: Vec<Real> = Vec::new();
    for step in steps {
        take(step, &tenants, &mut model, &mut real);
        real.iter_mut().for_each(Real::go_on);
        let (told, found): (Vec<_>, Vec<_>) = model
            .runs
            .iter()
            .map(|run| run.1)
            .zip(real.iter().map(Real::state))
            .unzip();
        prop_assert_eq!(&told, &found, "after {:?}", step);
        for n in 0..promises.len() {
            let usage = tenants.usage(org(n)).unwrap();
            let count = |state| model.count(n, state);
            prop_assert_eq!(usage.runs.running, count(State::Inside));
            prop_assert_eq!(usage.runs.waiting, count(State::Waits));
            prop_assert_eq!(usage.runs.finished, count(State::Over) as u64);
            prop_assert_eq!(usage.runs.abandoned, count(State::Gone) as u64);
            let refused = count(State::Full) + count(State::Suspended);
            prop_assert_eq!(usage.refused_in_all(), refused as u64);
            let asked = model.runs.iter().filter(|run| run.0 == n).count();
            prop_assert_eq!(usage.asked(), asked as u64);
        }
    }
    Ok(())
}

fn take(step: &Step, tenants: &Tenants, model: &mut Model, real: &mut Vec<Real>) {
    let orgs = model.promises.len();
    match step {
        Step::Comes(n) => {
            model.comes(n % orgs);
            let mut run = Real::Asks(Asking::of(tenants, org(n % orgs)));
            run.go_on();
            real.push(run);
        }
        Step::Finishes(n) => {
            if let Some(at) = model.nth(State::Inside, *n) {
                model.runs[at].1 = State::Over;
                real[at] = Real::Nothing(State::Over);
            }
        }
        Step::Goes(n) => {
            if let Some(at) = model.nth(State::Waits, *n) {
                model.runs[at].1 = State::Gone;
                real[at] = Real::Nothing(State::Gone);
            }
        }
        Step::Suspends(n) => {
            model.suspended[n % orgs] = true;
            for run in &mut model.runs {
                if *run == (n % orgs, State::Waits) {
                    run.1 = State::Suspended;
                }
            }
            tenants.suspend(org(n % orgs)).unwrap();
        }
        Step::Resumes(n) => {
            model.suspended[n % orgs] = false;
            tenants.resume(org(n % orgs)).unwrap();
        }
    }
    model.settle();
}
