//! How many retries there may be: of a run, and for so many calls.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use stageflow::context::{OrgId, RunId, SeededIds};
use stageflow::graph::Placement;
use stageflow::interceptors::KeyBy;
use stageflow::prelude::*;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Flavour, Property, TestRuntime, paused, script};
use tokio::time::{Instant, advance};

use super::{Times, plain, said};
use crate::support::{Lab, alone};

fn few(retries: u32) -> NonZeroU32 {
    NonZeroU32::new(retries).unwrap()
}

/// Why it gave up, each time that it did.
fn whys(said: &[(String, Value)]) -> Vec<&str> {
    said.iter()
        .filter_map(|(_, told)| told["why"].as_str())
        .collect()
}

#[test]
fn a_run_has_so_many_retries_and_the_next_run_has_them_again() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(3).per_run(few(7))));
        let times = Times::default();
        let mut p = Pipeline::builder("over");
        let n = p.input::<Vec<Arc<u64>>>();
        let busy = map(times.failing(|| Stop::transient("busy")));
        let a = p.stage("a", busy.skip_failed()).after(n);
        let pipeline = p.output(a).build().unwrap();
        for run in 1..=3 {
            let items = (0..10).map(Arc::new).collect();
            let _report = lab.engine.run(&pipeline, items, RunOptions::new()).await;
            assert_eq!(times.count(), run * 17);
            let said = said(&lab.sink.all());
            let refused = whys(&said)
                .iter()
                .filter(|why| **why == "run_budget")
                .count();
            assert!(refused >= 6, "{said:?}");
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn runs_at_the_same_time_have_their_retries_each() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(9).per_run(few(3))));
        let times = Times::default();
        let pipeline = alone(times.failing(|| Stop::transient("busy")), Placement::Inline);
        // So many that those that have ended are forgotten in between.
        for rounds in 1..=3 {
            let runs = (0..200).map(|_| lab.engine.run(&pipeline, 1, RunOptions::new()));
            join_all(runs).await;
            assert_eq!(times.count(), rounds * 200 * 4);
        }
        lab.assert_nothing_left().await;
    });
}

/// A budget of a tenth and nothing in reserve.
fn tenth(by: KeyBy) -> RetryBudget {
    RetryBudget::by(by).reserve(0)
}

/// An engine, and what counts how often stages were called.
fn with_budget(budget: &RetryBudget) -> (Lab, Times) {
    let retry = Retry::constant(9)
        .first(Duration::ZERO)
        .budget(budget.clone());
    (
        Lab::with(|builder| builder.intercept(retry)),
        Times::default(),
    )
}

fn busy(times: &Times) -> Pipeline<u64, u64> {
    alone(times.failing(|| Stop::transient("busy")), Placement::Inline)
}

#[test]
fn ten_calls_allow_one_retry_whichever_engine_they_are_of() {
    paused(async {
        let budget = tenth(KeyBy::dependency("model").across_orgs());
        let (one, first) = with_budget(&budget);
        let (other, second) = with_budget(&budget);
        let (a, b) = (busy(&first), busy(&second));
        for _ in 0..10 {
            let _report = one.engine.run(&a, 1, RunOptions::new()).await;
            let _report = other.engine.run(&b, 1, RunOptions::new()).await;
        }
        // Twenty calls: after the tenth, which is the other's fifth, there is one retry, and after the twentieth.
        assert_eq!((first.count(), second.count()), (10, 12));
        let said = said(&one.sink.all());
        assert_eq!(whys(&said), ["budget"; 10]);
    });
}

#[test]
fn orgs_have_budgets_of_their_own_unless_it_is_said_that_they_share() {
    let ids = SeededIds::new(5);
    for (by, calls) in [
        (KeyBy::dependency("model"), 20),
        (KeyBy::dependency("model").across_orgs(), 22),
        (KeyBy::stage(), 20),
    ] {
        paused(async {
            let (lab, times) = with_budget(&tenth(by));
            let pipeline = busy(&times);
            // Twenty orgs with one call each: none of them has earned a retry.
            for _ in 0..20 {
                let identity = RunIdentity::new(RunId::generate(&ids));
                let identity = identity.with_org_id(OrgId::generate(&ids));
                let options = RunOptions::new().identity(identity);
                let _report = lab.engine.run(&pipeline, 1, options).await;
            }
            assert_eq!(times.count(), calls);
        });
    }
}

#[test]
fn the_reserve_is_there_without_calls_and_comes_back() {
    paused(async {
        // Two a second for ten seconds, and nothing for calls.
        let budget = RetryBudget::default().reserve(2).ratio(0.0);
        let retry = Retry::constant(100).first(Duration::ZERO).budget(budget);
        let lab = Lab::with(|builder| builder.intercept(retry.per_run(few(1000))));
        let times = Times::default();
        let pipeline = busy(&times);
        for rounds in 1..=3 {
            let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(times.count(), rounds * 21);
            let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(times.count(), rounds * 21 + 1, "none are left");
            advance(11.secs()).await;
            // The call that was refused counts, too.
            times.forget(1);
        }
    });
}

#[test]
fn a_retry_that_the_budget_refuses_is_not_taken_from_the_run() {
    paused(async {
        let budget = tenth(KeyBy::engine());
        let retry = Retry::constant(3).first(Duration::ZERO).per_run(few(1));
        let lab = Lab::with(|builder| builder.intercept(retry.budget(budget)));
        let times = Times::default();
        let mut p = Pipeline::builder("over");
        let n = p.input::<Vec<Arc<u64>>>();
        let a = map(times.failing(|| Stop::transient("busy"))).skip_failed();
        let a = p.stage("a", a).after(n);
        let pipeline = p.output(a).build().unwrap();
        let items = (0..10).map(Arc::new).collect();
        let _report = lab.engine.run(&pipeline, items, RunOptions::new()).await;
        // Nine items were refused by the budget, and the tenth had one retry: the run's only one.
        assert_eq!(times.count(), 11);
    });
}

#[test]
fn numbers_that_are_none_are_none() {
    paused(async {
        for ratio in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            let (lab, times) = with_budget(&tenth(KeyBy::engine()).ratio(ratio));
            let pipeline = busy(&times);
            for _ in 0..20 {
                let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            }
            assert_eq!(times.count(), 20, "{ratio}");
        }
        let (lab, times) = with_budget(&tenth(KeyBy::engine()).ratio(f64::INFINITY));
        let _report = lab.engine.run(&busy(&times), 1, RunOptions::new()).await;
        assert_eq!(times.count(), 9);
    });
}

/// When calls were made, and retries allowed or refused.
#[derive(Default)]
struct History {
    calls: Vec<Instant>,
    retries: Vec<Instant>,
}

impl History {
    /// How many of them were less than so long ago.
    fn within(times: &[Instant], ago: Duration) -> f64 {
        times.iter().filter(|at| at.elapsed() < ago).count() as f64
    }

    /// Whether a retry must not be refused, and whether it must be, whatever steps the time is counted in.
    fn verdict(&self, ratio: f64, reserved: f64, ttl: Duration) -> (bool, bool) {
        let short = ttl * 9 / 10;
        let sure = Self::within(&self.retries, ttl) + 1.0
            <= reserved + ratio * Self::within(&self.calls, short);
        let never = Self::within(&self.retries, short) + 1.0
            > reserved + ratio * Self::within(&self.calls, ttl) + 1e-6;
        (sure, never)
    }
}

#[test]
fn a_budget_lets_through_what_the_calls_of_the_last_while_allow() {
    let runtime = TestRuntime::paused();
    let steps = proptest::collection::vec((0..3000_u64, 1..6_u32), 1..60);
    let cases = (steps, 0..=20_u32, 0..=2_u32, 1..8_u64);
    Property::new("a budget lets through what the calls of the last while allow")
        .cases(150)
        .holds_for(&cases, |(steps, twentieths, reserve, ttl)| {
            runtime.block_on(async {
                let (ratio, ttl) = (f64::from(twentieths) / 20.0, Duration::from_secs(ttl));
                let reserved = f64::from(reserve) * ttl.as_secs_f64();
                let budget = RetryBudget::by(KeyBy::engine()).ttl(ttl);
                let budget = budget.ratio(ratio).reserve(reserve);
                let mut history = History::default();
                for (pause, attempts) in steps {
                    advance(Duration::from_millis(pause)).await;
                    let retry = Retry::constant(attempts).first(Duration::ZERO);
                    let retry = retry.budget(budget.clone());
                    let lab = Lab::with(|builder| builder.intercept(retry));
                    let times = Times::default();
                    let report = lab.engine.run(&busy(&times), 1, RunOptions::new()).await;
                    prop_assert!(!report.is_success());
                    history.calls.push(Instant::now());
                    let made = times.count() - 1;
                    for _ in 0..made {
                        let (_, never) = history.verdict(ratio, reserved, ttl);
                        prop_assert!(!never, "allowed after {} retries", history.retries.len());
                        history.retries.push(Instant::now());
                    }
                    if made + 1 < attempts as usize {
                        let (sure, _) = history.verdict(ratio, reserved, ttl);
                        prop_assert!(!sure, "refused after {} retries", history.retries.len());
                    }
                }
                Ok(())
            })
        });
}

#[test]
fn a_thousand_runs_on_two_threads_share_one_budget() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    runtime.block_on(async {
        let budget = tenth(KeyBy::engine()).ttl(600.secs());
        let (lab, times) = with_budget(&budget);
        let stage = times.failing(|| Stop::transient("busy"));
        let pipeline = alone(stage, Placement::Spawn);
        let runs = (0..1000).map(|_| lab.engine.run(&pipeline, 1, RunOptions::new()));
        join_all(runs).await;
        assert!(times.count() <= 1100, "{}", times.count());
        // Each run had eight retries to ask for, so what was there at the end was taken.
        assert!(times.count() >= 1090, "{}", times.count());
    });
}

#[test]
fn runs_without_failures_need_no_budget() {
    paused(async {
        let (lab, _) = with_budget(&tenth(KeyBy::engine()));
        let pipeline = alone(script::ok::<Arc<u64>, u64>(1), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(report.is_success());
    });
}
