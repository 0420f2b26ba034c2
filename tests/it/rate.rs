//! Rates: exactly when calls begin, who is turned away, and that nothing is used up by those who leave.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::json;
use stageflow::context::{OrgId, StageErrorKind, SystemIds};
use stageflow::interceptors::KeyBy;
use stageflow::prelude::*;
use stageflow_testkit::{Property, RecordingSink, paused, script};
use tokio::time::{Instant, sleep_until};

use crate::layers::notices;

pub(crate) fn per_second(calls: u32) -> RateLimit {
    RateLimit::per_second(NonZeroU32::new(calls).unwrap())
}

pub(crate) fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// When which call began, in milliseconds since it was made.
#[derive(Clone)]
pub(crate) struct Began {
    pub(crate) since: Instant,
    pub(crate) calls: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Began {
    pub(crate) fn new() -> Self {
        let (since, calls) = (Instant::now(), Arc::default());
        Self { since, calls }
    }

    pub(crate) fn calls(&self) -> Vec<(u64, u64)> {
        self.calls.lock().unwrap().clone()
    }

    fn pipeline(&self) -> Pipeline<u64, u64> {
        let began = self.clone();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let at = began.since.elapsed().as_millis() as u64;
            began.calls.lock().unwrap().push((*n, at));
            async move { Ok(*n) }
        });
        let mut p = Pipeline::builder("paced");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        p.output(a).build().unwrap()
    }
}

fn kind<O>(report: &RunReport<O>) -> Option<&StageErrorKind> {
    report.error().map(StageError::kind)
}

#[test]
fn a_burst_of_a_thousand_is_drawn_out_exactly() {
    paused(async {
        let limit = per_second(50).wait_up_to(60.secs());
        let began = Began::new();
        let (engine, pipeline) = (Engine::builder().intercept(limit).build(), began.pipeline());
        let runs = (0..1000).map(|n| engine.run(&pipeline, n, RunOptions::new()));
        let reports = join_all(runs).await;
        assert!(reports.iter().all(RunReport::is_success));
        let expected: Vec<_> = (0..1000)
            .map(|n: u64| (n, n.saturating_sub(49) * 20))
            .collect();
        assert_eq!(began.calls(), expected);
    });
}

/// Timers count in whole milliseconds: what that costs must not add up.
#[test]
fn turns_between_two_ticks_keep_the_rate() {
    paused(async {
        let limit = per_second(300).burst(one()).wait_up_to(60.secs());
        let began = Began::new();
        let (engine, pipeline) = (Engine::builder().intercept(limit).build(), began.pipeline());
        join_all((0..1000).map(|n| engine.run(&pipeline, n, RunOptions::new()))).await;
        for (n, at) in began.calls() {
            let due = n * 1000 / 300;
            assert!(
                (due..=due + 1).contains(&at),
                "{n} began at {at}, not {due}"
            );
        }
    });
}

#[derive(Clone, Debug)]
struct Case {
    apart: u64,
    burst: u64,
    wait: Option<u64>,
    deadline: Option<u64>,
    arrivals: Vec<u64>,
}

fn cases() -> impl Strategy<Value = Case> {
    (
        prop::sample::select(vec![4_u64, 8, 10, 20, 125]),
        1..6_u64,
        prop::option::of(0..400_u64),
        prop::option::of(1..400_u64),
        prop::collection::vec(prop_oneof![Just(0), 0..30_u64, 0..300_u64], 1..40),
    )
        .prop_map(|(apart, burst, wait, deadline, gaps)| Case {
            apart,
            burst,
            wait,
            deadline,
            arrivals: gaps
                .into_iter()
                .scan(0, |at, gap| {
                    *at += gap;
                    Some(*at)
                })
                .collect(),
        })
}

/// When each call begins, or how long it would have had to wait: a bucket of tokens, one more each `apart` milliseconds.
fn predicted(case: &Case) -> Vec<Result<u64, u64>> {
    let (most, mut tokens, mut at) = (case.burst * case.apart, case.burst * case.apart, 0);
    let mut expected = Vec::new();
    for arrival in &case.arrivals {
        let from = at.max(*arrival);
        let there = most.min(tokens + (from - at));
        let begins = from + case.apart.saturating_sub(there);
        let wait = begins - arrival;
        let deadline = case.deadline.filter(|_| case.wait.is_some() && wait > 0);
        if wait > case.wait.unwrap_or(0) || deadline.is_some_and(|deadline| wait >= deadline) {
            expected.push(Err(wait));
            continue;
        }
        (tokens, at) = (there.max(case.apart) - case.apart, begins);
        expected.push(Ok(begins));
    }
    expected
}

#[test]
fn calls_begin_exactly_when_a_bucket_of_tokens_says() {
    Property::new("rates are as a bucket of tokens has it")
        .cases(200)
        .holds_for(&cases(), |case| {
            let seen = paused(async {
                let rate = NonZeroU32::new((1000 / case.apart) as u32).unwrap();
                let burst = NonZeroU32::new(case.burst as u32).unwrap();
                let mut limit = RateLimit::per_second(rate).burst(burst);
                if let Some(wait) = case.wait {
                    limit = limit.wait_up_to(Duration::from_millis(wait));
                }
                let began = Began::new();
                let pipeline = began.pipeline();
                // Two engines that share the limit, and nothing else.
                let engines = [(); 2].map(|()| Engine::builder().intercept(limit.clone()).build());
                let runs = case.arrivals.iter().enumerate().map(|(n, at)| {
                    let (engine, pipeline, began) = (&engines[n % 2], &pipeline, &began);
                    async move {
                        sleep_until(began.since + Duration::from_millis(*at)).await;
                        let mut options = RunOptions::new();
                        if let Some(deadline) = case.deadline {
                            options = options.deadline(Duration::from_millis(deadline));
                        }
                        let report = engine.run(pipeline, n as u64, options).await;
                        match report.error() {
                            None => {
                                let calls = began.calls();
                                Ok(calls.iter().find(|call| call.0 == n as u64).unwrap().1)
                            }
                            Some(error) => {
                                assert_eq!(error.kind(), &StageErrorKind::Rejected);
                                assert_eq!(report.duration(), Duration::ZERO, "at once");
                                Err(error.retry_after().unwrap().as_millis() as u64)
                            }
                        }
                    }
                });
                let seen = join_all(runs).await;
                assert_eq!(limit.waiting(), []);
                seen
            });
            prop_assert_eq!(seen, predicted(&case));
            Ok(())
        });
}

#[test]
fn who_leaves_has_used_up_nothing() {
    paused(async {
        let limit = per_second(10).burst(one()).wait_up_to(60.secs());
        let began = Began::new();
        let (engine, pipeline) = (
            Engine::builder().intercept(limit.clone()).build(),
            began.pipeline(),
        );
        let run =
            |n, deadline: Duration| engine.run(&pipeline, n, RunOptions::new().deadline(deadline));
        let leaving = async {
            // Both the first of those that wait, and one in the middle: told to stop, and dropped.
            let told = run(1, 60.mins());
            let handle = told.handle();
            let dropped = tokio::time::timeout(50.millis(), run(3, 60.mins()));
            let stopped = async {
                tokio::time::sleep(40.millis()).await;
                assert_eq!(limit.waiting()[0].1, 4);
                handle.cancel("never mind")
            };
            let (report, dropped, told) = tokio::join!(told, dropped, stopped);
            assert_eq!(report.outcome(), Outcome::Cancelled);
            assert!(dropped.is_err() && told);
            assert_eq!(report.duration(), 40.millis());
        };
        let (first, (), second, third) = tokio::join!(
            run(0, 60.mins()),
            leaving,
            run(2, 60.mins()),
            run(4, 60.mins())
        );
        assert!(first.is_success() && second.is_success() && third.is_success());
        assert_eq!(began.calls(), [(0, 0), (2, 100), (4, 200)]);
        assert_eq!(limit.waiting(), []);
    });
}

#[test]
fn the_queue_has_a_bound() {
    paused(async {
        let limit = per_second(10)
            .burst(one())
            .queue(const { NonZeroUsize::new(2).unwrap() })
            .wait_up_to(60.secs());
        let (began, sink) = (Began::new(), RecordingSink::new());
        let engine = Engine::builder()
            .intercept(limit)
            .events(sink.clone())
            .build();
        let pipeline = began.pipeline();
        let reports = join_all((0..5).map(|n| engine.run(&pipeline, n, RunOptions::new()))).await;
        assert_eq!(began.calls(), [(0, 0), (1, 100), (2, 200)]);
        for report in &reports[3..] {
            assert_eq!(
                report.error().unwrap().retry_after(),
                Some(300.millis()),
                "when its turn would have come"
            );
        }
        let turned_away = json!({ "key": "paced/a", "ms": 300, "why": "queue" });
        let waited = |ms: u64| json!({ "key": "paced/a", "ms": ms });
        assert_eq!(
            notices(&sink),
            [
                ("layer.rate.rejected".to_owned(), turned_away.clone()),
                ("layer.rate.rejected".to_owned(), turned_away),
                ("layer.rate.waited".to_owned(), waited(100)),
                ("layer.rate.waited".to_owned(), waited(200)),
            ]
        );
        sink.assert_ok();
    });
}

#[test]
fn orgs_have_rates_of_their_own_unless_they_share() {
    let count = |by: KeyBy| {
        paused(async move {
            let limit = per_second(1).key(by);
            let began = Began::new();
            let (engine, pipeline) = (Engine::builder().intercept(limit).build(), began.pipeline());
            let orgs = [(); 3].map(|()| OrgId::generate(&SystemIds::new()));
            for org in orgs.iter().chain(&orgs) {
                let options = RunOptions::new().org(*org);
                engine.run(&pipeline, 0, options).await;
            }
            began.calls().len()
        })
    };
    assert_eq!(count(KeyBy::stage()), 3);
    assert_eq!(count(KeyBy::engine()), 3);
    assert_eq!(count(KeyBy::stage().across_orgs()), 1);
}

#[test]
fn without_waiting_it_is_a_hook_that_says_when_to_come_again() {
    paused(async {
        let engine = Engine::builder()
            .intercept(per_second(4).burst(one()))
            .build();
        assert_eq!(
            engine.describe(),
            "call\n└ rate [admission, hook]\n  └ stage\n"
        );
        let pipeline = Began::new().pipeline();
        assert!(
            engine
                .run(&pipeline, 0, RunOptions::new())
                .await
                .is_success()
        );
        tokio::time::advance(100.millis()).await;
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(kind(&report), Some(&StageErrorKind::Rejected));
        let error = report.error().unwrap();
        assert_eq!(error.retry_after(), Some(150.millis()));
        assert_eq!(
            error.to_string(),
            "SF0313: stage `a` was rejected for 150ms: layer `rate`: `paced/a` has had its calls for now; try again later, or look at the \
             layer that is named: it protects what the stage calls"
        );
    });
}

/// A call with all its attempts counts once; inside the retries, each attempt counts, and a rejection is tried again in time.
#[test]
fn attempts_count_if_that_is_said() {
    let times = |limit: RateLimit| {
        paused(async move {
            let mut p = Pipeline::builder("flaky");
            let n = p.input::<u64>();
            let flaky = script::flaky(2, 7_u64);
            let probe = flaky.probe();
            let a = p.stage("a", flaky).after(n);
            let pipeline = p.output(a).build().unwrap();
            let retry = Retry::constant(10)
                .first(Duration::ZERO)
                .jitter(Jitter::None);
            let engine = Engine::builder().intercept(retry).intercept(limit).build();
            let report = engine.run(&pipeline, 0, RunOptions::new()).await;
            assert_eq!(probe.calls(), 3);
            report.duration()
        })
    };
    let each_second = per_second(1);
    assert_eq!(times(each_second.clone()), Duration::ZERO);
    assert_eq!(
        times(each_second.wait_up_to(60.mins()).each_attempt()),
        2.secs()
    );
}

#[test]
fn more_keys_than_there_is_room_for_share_one_rate() {
    paused(async {
        let limit = per_second(1).most_keys(const { NonZeroUsize::new(2).unwrap() });
        let began = Began::new();
        let (engine, pipeline) = (Engine::builder().intercept(limit).build(), began.pipeline());
        let mut let_in = Vec::new();
        for second in 0..2 {
            for _ in 0..4 {
                let options = RunOptions::new().org(OrgId::generate(&SystemIds::new()));
                let report = engine.run(&pipeline, second, options).await;
                let_in.push(report.is_success());
            }
            // Those that have their whole burst again are forgotten.
            tokio::time::advance(1.secs()).await;
        }
        let once = [true, true, true, false];
        assert_eq!(let_in, [once, once].concat());
    });
}
