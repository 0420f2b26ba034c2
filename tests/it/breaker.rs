//! Breakers around stages: what a dependency sees of them, who shares one, and what is said.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use expect_test::expect;
use stageflow::context::{OrgId, StageErrorKind, SystemIds};
use stageflow::events::EventKind;
use stageflow::graph::Placement;
use stageflow::interceptors::{BreakerState, KeyBy};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, RecordingSink, paused, script};
use tokio::time::advance;

use crate::attempts::Again;
use crate::support::{Lab, alone, json_text};

pub(crate) fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// A stage that fails while the switch is on.
fn switched(ill: &Arc<AtomicBool>, calls: &Arc<AtomicUsize>) -> Pipeline<u64, u64> {
    let (ill, calls) = (Arc::clone(ill), Arc::clone(calls));
    let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        calls.fetch_add(1, Ordering::SeqCst);
        let ill = ill.load(Ordering::SeqCst);
        async move {
            if ill {
                Err(Stop::transient("busy"))
            } else {
                Ok(*n)
            }
        }
    });
    alone(stage, Placement::Inherit)
}

async fn kind_of(engine: &Engine, pipeline: &Pipeline<u64, u64>) -> Option<StageErrorKind> {
    let report = engine.run(pipeline, 1, RunOptions::new()).await;
    report.error().map(|error| error.kind().clone())
}

pub(crate) async fn kind_of_with(
    engine: &Engine,
    pipeline: &Pipeline<u64, u64>,
    input: u64,
) -> Option<StageErrorKind> {
    let report = engine.run(pipeline, input, RunOptions::new()).await;
    report.error().map(|error| error.kind().clone())
}

/// What breakers said, with the details.
pub(crate) fn said(sink: &RecordingSink) -> Vec<String> {
    let all = sink.all().into_iter();
    all.filter_map(|recorded| match recorded.event.kind() {
        EventKind::Layer { notice, .. } => {
            Some(format!("{} {}", notice.name(), json_text(notice.payload())))
        }
        _ => None,
    })
    .collect()
}

#[test]
fn it_opens_rejects_tries_and_closes_and_says_so() {
    paused(async {
        let (ill, calls) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let pipeline = switched(&ill, &calls);
        let breaker = Breaker::consecutive(n(2)).cool_down(Duration::from_millis(1500));
        let lab = Lab::with(|builder| builder.intercept(breaker.clone()));

        let failed = Some(StageErrorKind::Failed(ErrorClass::Transient));
        for _ in 0..2 {
            assert_eq!(kind_of(&lab.engine, &pipeline).await, failed);
        }
        advance(Duration::from_millis(500)).await;
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(calls.load(Ordering::SeqCst), 2, "it was not asked");
        assert_eq!(report.outcome(), Outcome::Failed, "never a success");
        expect!["SF0313: stage `a` was rejected for 1s: layer `breaker`: `alone/a` has failed too often and is left alone for a while; try again later, or look at the layer that is named: it protects what the stage calls"]
            .assert_eq(&report.error().unwrap().to_string());

        advance(Duration::from_secs(1)).await;
        assert_eq!(kind_of(&lab.engine, &pipeline).await, failed, "the probe");
        assert_eq!(
            kind_of(&lab.engine, &pipeline).await,
            Some(StageErrorKind::Rejected),
            "the cool-down is a fresh one"
        );
        ill.store(false, Ordering::SeqCst);
        advance(Duration::from_millis(1500)).await;
        assert_eq!(kind_of(&lab.engine, &pipeline).await, None);
        assert_eq!(calls.load(Ordering::SeqCst), 4);
        expect![[r#"
            layer.breaker.opened {"calls":null,"cool_down_ms":1500,"failures":2,"key":"alone/a"}
            layer.breaker.rejected {"key":"alone/a","retry_after_ms":1000}
            layer.breaker.half_opened {"key":"alone/a"}
            layer.breaker.opened {"cool_down_ms":1500,"key":"alone/a","probe":true}
            layer.breaker.rejected {"key":"alone/a","retry_after_ms":1500}
            layer.breaker.half_opened {"key":"alone/a"}
            layer.breaker.closed {"key":"alone/a"}"#]]
        .assert_eq(&said(&lab.sink).join("\n"));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn one_call_is_one_failure_however_often_it_was_tried() {
    paused(async {
        let (ill, calls) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let pipeline = switched(&ill, &calls);
        let breaker = Breaker::consecutive(n(2));
        let engine = Engine::builder()
            .intercept(Again(5))
            .intercept(breaker.clone())
            .build();
        assert!(kind_of(&engine, &pipeline).await.is_some());
        assert_eq!(calls.load(Ordering::SeqCst), 5);
        let [(key, state)] = &breaker.view()[..] else {
            panic!("one key: {:?}", breaker.view());
        };
        assert_eq!(*state, BreakerState::Closed { failures: 1 });
        assert_eq!(breaker.state(key), *state);
        assert_eq!(key.to_string(), "alone/a");
    });
}

#[test]
fn stages_pipelines_and_orgs_have_breakers_of_their_own_unless_the_key_says_otherwise() {
    paused(async {
        let orgs = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
        let model = KeyBy::dependency("model");
        // What is rejected after one failure of stage `a` for the first org: the same for the other org, stage `b` for both.
        for (by, same_org, other_org) in [
            (KeyBy::stage(), false, [false, false]),
            (KeyBy::pipeline(), true, [false, false]),
            (KeyBy::engine(), true, [false, false]),
            (model.clone(), true, [false, false]),
            (KeyBy::stage().across_orgs(), false, [true, false]),
            (model.across_orgs(), true, [true, true]),
        ] {
            let breaker = Breaker::consecutive(n(1)).key(by.clone());
            let engine = Engine::builder().intercept(breaker).build();
            let fails = pipeline_of("a", false);
            let is_rejected = async |pipeline: &Pipeline<u64, u64>, org: usize| {
                let options = RunOptions::new().org(orgs[org]);
                let report = engine.run(pipeline, 1, options).await;
                let error = report.error();
                error.is_some_and(|error| *error.kind() == StageErrorKind::Rejected)
            };
            assert!(!is_rejected(&fails, 0).await);
            assert!(is_rejected(&pipeline_of("a", true), 0).await, "{by:?}");
            let b = pipeline_of("b", true);
            assert_eq!(is_rejected(&b, 0).await, same_org, "{by:?}");
            assert_eq!(
                [
                    is_rejected(&pipeline_of("a", true), 1).await,
                    is_rejected(&b, 1).await
                ],
                other_org,
                "{by:?}"
            );
        }
    });
}

fn pipeline_of(stage: &str, succeeds: bool) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("asks");
    let n = p.input::<u64>();
    let ends = if succeeds {
        script::ok(1)
    } else {
        script::transient("busy")
    };
    let a = p.stage(stage, ends).after(n);
    p.output(a).build().unwrap()
}

#[test]
fn a_rejection_goes_to_the_fallback() {
    paused(async {
        let breaker = Breaker::consecutive(n(1));
        let engine = Engine::builder()
            .intercept_on(stageflow::interceptors::On::stage("first"), breaker)
            .build();
        for code in ["SF0301", "SF0313"] {
            let mut p = Pipeline::builder("two ways");
            let n = p.input::<u64>();
            let first = script::transient::<Arc<u64>, u64>("busy");
            let first = p.stage("first", first).or("second", script::ok(2)).after(n);
            let pipeline = p.output(first).build().unwrap();
            let report = engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.output().unwrap(), &2);
            assert_eq!(report.errors()[0].code(), code);
        }
    });
}

#[test]
fn a_probe_that_is_cancelled_gives_its_place_back() {
    paused(async {
        let gate = Gate::new();
        let held = gate.clone();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let gate = held.clone();
            async move {
                if *n == 0 {
                    return Err(Stop::transient("busy"));
                }
                gate.passed().await;
                Ok(*n)
            }
        });
        let pipeline = alone(stage, Placement::Inherit);
        let breaker = Breaker::consecutive(n(1)).cool_down(Duration::ZERO);
        let engine = Engine::builder().intercept(breaker.clone()).build();
        assert!(kind_of_with(&engine, &pipeline, 0).await.is_some());
        for _ in 0..3 {
            let run = engine.run(&pipeline, 1, RunOptions::new());
            let handle = run.handle();
            let canceller = async {
                gate.crowd(1).await;
                let rejected = kind_of_with(&engine, &pipeline, 1).await;
                assert_eq!(rejected, Some(StageErrorKind::Rejected));
                handle.cancel("no longer wanted");
            };
            let (report, ()) = tokio::join!(run, canceller);
            assert_eq!(report.outcome(), Outcome::Cancelled);
        }
        gate.open();
        assert_eq!(kind_of_with(&engine, &pipeline, 1).await, None);
    });
}

#[test]
fn whoever_panics_when_asked_about_an_error_does_not_keep_a_probes_place() {
    paused(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let breaker = Breaker::consecutive(n(1))
            .cool_down(Duration::ZERO)
            .counts(move |_| {
                if counted.fetch_add(1, Ordering::SeqCst) == 1 {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                true
            });
        let engine = Engine::builder().intercept(breaker.clone()).build();
        let ill = Arc::new(AtomicBool::new(true));
        let pipeline = switched(&ill, &Arc::default());
        let states = || breaker.view()[0].1;
        assert!(kind_of(&engine, &pipeline).await.is_some());
        let panicked = Some(StageErrorKind::Panicked(ErrorClass::Permanent));
        assert_eq!(kind_of(&engine, &pipeline).await, panicked);
        let free = BreakerState::HalfOpen {
            running: 0,
            succeeded: 0,
        };
        assert_eq!(states(), free);
        ill.store(false, Ordering::SeqCst);
        assert_eq!(kind_of(&engine, &pipeline).await, None);
        assert_eq!(states(), BreakerState::Closed { failures: 0 });
    });
}

#[test]
fn keys_are_bounded_and_what_finds_no_place_shares_one() {
    paused(async {
        let breaker = Breaker::consecutive(n(2))
            .cool_down(Duration::from_secs(1))
            .most_keys(NonZeroUsize::new(3).unwrap());
        let engine = Engine::builder().intercept(breaker.clone()).build();
        let fail = async |at: usize| {
            let pipeline = pipeline_of(&format!("s{at}"), false);
            engine.run(&pipeline, 1, RunOptions::new()).await
        };
        for at in 0..3 {
            fail(at).await;
        }
        let none = BreakerState::Closed { failures: 0 };
        assert_eq!((breaker.view().len(), breaker.overflow()), (3, none));
        fail(3).await;
        fail(4).await;
        assert_eq!(breaker.view().len(), 3);
        assert!(
            matches!(breaker.overflow(), BreakerState::Open { .. }),
            "a failure of each is two"
        );
        // What nobody has stirred for two cool-downs makes room.
        advance(Duration::from_secs(2)).await;
        fail(5).await;
        let known: Vec<_> = breaker
            .view()
            .into_iter()
            .map(|(key, _)| key.to_string())
            .collect();
        assert_eq!(known, ["asks/s5"]);
    });
}

#[test]
fn a_breaker_that_is_meant_for_one_stage_takes_the_place_of_the_one_for_all() {
    paused(async {
        let engine = Engine::builder()
            .intercept(Breaker::consecutive(n(1)))
            .intercept_on(
                stageflow::interceptors::On::stage("a"),
                Breaker::consecutive(n(2)),
            )
            .build();
        let pipeline = pipeline_of("a", false);
        let failed = Some(StageErrorKind::Failed(ErrorClass::Transient));
        for _ in 0..2 {
            assert_eq!(kind_of(&engine, &pipeline).await, failed);
        }
        assert_eq!(
            kind_of(&engine, &pipeline).await,
            Some(StageErrorKind::Rejected)
        );
    });
}
