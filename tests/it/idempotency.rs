//! Work under a key: done once, for one scope, for one set of parameters.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stageflow::context::{OrgId, StageErrorKind};
use stageflow::events::EventKind;
use stageflow::interceptors::On;
use stageflow::prelude::*;
use stageflow_testkit::{Probe, RecordingSink, on_each_runtime, paused, script};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{advance, sleep};

use crate::support::watched;

/// Each time it is done it has another number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Receipt {
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// A request under this key, without parameters.
pub(crate) fn under(key: &str) -> RunOptions {
    RunOptions::new().idempotency(Idempotency::new(key.parse().unwrap()))
}

/// A request under this key for this amount.
fn under_for(key: &str, amount: u64) -> RunOptions {
    let request = Idempotency::new(key.parse().unwrap());
    let request = request.with_parameters(&json!({ "amount": amount }));
    RunOptions::new().idempotency(request.unwrap())
}

/// A pipeline of one stage of work, whose receipts are numbered from 1.
pub(crate) fn shop(name: &str, stage: &str, probe: &Probe) -> Pipeline<u64, Receipt> {
    kind_of_shop(name, stage, probe, StageKind::Work)
}

fn kind_of_shop(name: &str, stage: &str, probe: &Probe, kind: StageKind) -> Pipeline<u64, Receipt> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let counted = probe.clone();
    let work = watched(probe, move |_cx: StageCx, n: Arc<u64>| {
        let number = counted.calls();
        async move {
            yield_now().await;
            sleep(10.millis()).await;
            let text = format!("{n} paid \u{2713}");
            Ok(Receipt { number, text })
        }
    });
    let pay = p.stage(stage, work).kind(kind).after(n);
    p.output(pay).build().unwrap()
}

pub(crate) fn engine(layer: IdempotentWork) -> (Engine, RecordingSink) {
    let sink = RecordingSink::new();
    let engine = Engine::builder().intercept(layer).events(sink.clone());
    (engine.build(), sink)
}

/// What the layer said, in order.
pub(crate) fn said(sink: &RecordingSink) -> Vec<String> {
    sink.assert_ok();
    let all = sink.all();
    let words = all
        .iter()
        .filter_map(|recorded| match recorded.event.kind() {
            EventKind::Layer { notice, .. } => {
                let name = notice.name();
                Some(
                    name.strip_prefix("layer.idempotency.")
                        .unwrap_or(name)
                        .to_owned(),
                )
            }
            _ => None,
        });
    words.collect()
}

#[test]
fn a_thousand_equal_requests_at_once_do_the_work_once_and_get_one_answer() {
    on_each_runtime(|_| async {
        let (store, probe) = (MemoryIdempotencyStore::new(), Probe::new());
        let mut runs = JoinSet::new();
        for _ in 0..1000 {
            // An engine and a pipeline of its own for each request: only the store is shared.
            let (engine, _) = engine(IdempotentWork::new(store.clone()));
            let pipeline = shop("shop", "pay", &probe);
            runs.spawn(async move { engine.run(&pipeline, 7, under("order-17")).await });
        }
        let reports = runs.join_all().await;
        assert_eq!(probe.calls(), 1);
        for report in &reports {
            assert_eq!(report.output().unwrap().number, 1);
        }
        let did = reports.iter().map(|r| r.stage("pay").unwrap().attempts());
        assert_eq!(did.sum::<u32>(), 1);
        assert_eq!((store.len(), store.held(), store.waiting()), (1, 0, 0));
    });
}

#[test]
fn ten_thousand_keys_take_no_more_room_than_there_is() {
    paused(async {
        let store = MemoryIdempotencyStore::with_capacity(NonZeroUsize::new(100).unwrap());
        let (engine, _) = engine(IdempotentWork::new(store.clone()));
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        for chunk in 0..200 {
            let runs = (0..50).map(|at| {
                let key = format!("order-{}", chunk * 50 + at);
                engine.run(&pipeline, at, under(&key))
            });
            for report in join_all(runs).await {
                report.output().unwrap();
            }
            assert!(store.len() <= 100, "{store:?}");
        }
        assert_eq!(probe.calls(), 10_000);
        assert_eq!((store.held(), store.waiting()), (0, 0));
        // The last ones are there still, the first ones are not.
        engine.run(&pipeline, 0, under("order-9999")).await;
        assert_eq!(probe.calls(), 10_000);
        engine.run(&pipeline, 0, under("order-0")).await;
        assert_eq!(probe.calls(), 10_001);
    });
}

#[test]
fn an_answer_is_the_same_value_however_often_it_is_asked_for() {
    paused(async {
        let (engine, sink) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()));
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let first = engine.run(&pipeline, 7, under("order-17")).await;
        for _ in 0..5 {
            let again = engine.run(&pipeline, 7, under("order-17")).await;
            assert!(std::ptr::eq(
                first.output().unwrap(),
                again.output().unwrap()
            ));
            assert_eq!(again.stage("pay").unwrap().attempts(), 0);
            assert_eq!(again.duration(), Duration::ZERO);
        }
        assert_eq!(probe.calls(), 1);
        assert_eq!(said(&sink), ["replayed"; 5]);
    });
}

#[test]
fn orgs_pipelines_and_stages_have_nothing_to_do_with_each_other() {
    paused(async {
        let (engine, _) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()));
        let probe = Probe::new();
        let pipelines = [
            shop("shop", "pay", &probe),
            shop("shop", "refund", &probe),
            shop("Shop", "pay", &probe),
        ];
        let org = |end| {
            format!("org_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1{end}")
                .parse()
                .unwrap()
        };
        // None, and two that are one bit apart.
        let orgs: [Option<OrgId>; 3] = [None, Some(org('c')), Some(org('d'))];
        for round in 0..2 {
            let mut number = 0;
            for pipeline in &pipelines {
                for org in orgs {
                    number += 1;
                    let options = under("order-17");
                    let options = match org {
                        Some(org) => options.org(org),
                        None => options,
                    };
                    let report = engine.run(pipeline, 7, options).await;
                    assert_eq!(report.output().unwrap().number, number, "round {round}");
                }
            }
        }
        assert_eq!(probe.calls(), 9);
    });
}

#[test]
fn two_stages_of_a_run_give_their_own_answers_and_items_of_a_map_theirs() {
    paused(async {
        let (engine, sink) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()));
        let mut p = Pipeline::builder("two");
        let n = p.input::<Vec<u64>>();
        let a = p
            .stage(
                "a",
                script::ok::<Arc<Vec<u64>>, u64>(1).then(script::ok(10)),
            )
            .kind(StageKind::Work)
            .after(n);
        let each = map(stage_fn(async |_cx, n: Arc<u64>| Ok(*n * 2)));
        let b = p.stage("b", each).kind(StageKind::Work).after(n);
        let sum = |_cx: StageCx, (a, b): (Arc<u64>, Arc<Vec<Arc<u64>>>)| async move {
            let b: Vec<u64> = b.iter().map(|n| **n).collect();
            Ok((*a, b))
        };
        let sum = p.stage("sum", stage_fn(sum)).after((a, b));
        let pipeline = p.output(sum).build().unwrap();
        for _ in 0..2 {
            let report = engine.run(&pipeline, vec![1, 2, 3], under("k")).await;
            assert_eq!(report.output().unwrap(), &(1, vec![2, 4, 6]));
        }
        // The stage and the three items.
        assert_eq!(said(&sink), ["replayed"; 4]);
    });
}

#[test]
fn it_is_for_stages_of_work_in_runs_with_a_key_unless_it_is_told_otherwise() {
    paused(async {
        let probe = Probe::new();
        let calls_of = async |layer: IdempotentWork, kind, options: fn() -> RunOptions| {
            let (engine, _) = engine(layer);
            let before = probe.calls();
            let pipeline = kind_of_shop("shop", "pay", &probe, kind);
            for _ in 0..3 {
                engine.run(&pipeline, 7, options()).await;
            }
            probe.calls() - before
        };
        let layer = || IdempotentWork::new(MemoryIdempotencyStore::new());
        let key = || under("order-17");
        assert_eq!(calls_of(layer(), StageKind::Work, RunOptions::new).await, 3);
        assert_eq!(calls_of(layer(), StageKind::Work, key).await, 1);
        assert_eq!(calls_of(layer(), StageKind::Agent, key).await, 3);
        let agents = layer().kinds([StageKind::Agent]);
        assert_eq!(calls_of(agents.clone(), StageKind::Agent, key).await, 1);
        assert_eq!(calls_of(agents, StageKind::Work, key).await, 3);
    });
}

#[test]
fn a_key_belongs_to_its_parameters() {
    paused(async {
        let (engine, sink) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()));
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        type Begin = fn(&str) -> RunOptions;
        let requests: [(&str, Begin); 3] = [
            ("100", |key| under_for(key, 100)),
            ("1000", |key| under_for(key, 1000)),
            ("none", under),
        ];
        for (first, begin) in requests {
            let key = format!("order-{first}");
            engine
                .run(&pipeline, 7, begin(&key))
                .await
                .output()
                .unwrap();
            let calls = probe.calls();
            for (other, again) in requests {
                let report = engine.run(&pipeline, 7, again(&key)).await;
                assert_eq!(report.output().is_ok(), first == other, "{first}, {other}");
                if first != other {
                    let error = report.error().unwrap();
                    assert_eq!(error.kind(), &StageErrorKind::KeyReused);
                    assert_eq!(
                        error.to_string(),
                        "SF0315: stage `pay` was asked for with a key that belongs to other parameters; use a key of its own \
                         for each request, and the same parameters when you ask again"
                    );
                }
            }
            assert_eq!(probe.calls(), calls);
        }
        assert_eq!(
            said(&sink)
                .iter()
                .filter(|what| *what == "mismatch")
                .count(),
            6
        );
    });
}

#[test]
fn other_parameters_are_refused_at_once_while_the_work_goes_on() {
    paused(async {
        let (engine, _) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()));
        let pipeline = shop("shop", "pay", &Probe::new());
        let runs = [100, 1000].map(|amount| engine.run(&pipeline, 7, under_for("k", amount)));
        let [first, other] = runs;
        let (first, other) = tokio::join!(first, other);
        assert_eq!(first.output().unwrap().number, 1);
        assert_eq!(other.error().unwrap().code(), "SF0315");
        assert_eq!(other.duration(), Duration::ZERO);
    });
}

#[test]
fn an_answer_is_forgotten_when_its_time_is_over() {
    paused(async {
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let layer = IdempotentWork::new(MemoryIdempotencyStore::new()).ttl(60.secs());
        let (engine, _) = engine(layer);
        let number = async || {
            let report = engine.run(&pipeline, 7, under("k")).await;
            report.output().unwrap().number
        };
        assert_eq!(number().await, 1);
        advance(60.secs() - 1.millis()).await;
        assert_eq!(number().await, 1);
        advance(1.millis()).await;
        assert_eq!(number().await, 2);
    });
}

#[test]
fn an_answer_that_is_kept_for_no_time_is_given_to_those_who_wait() {
    paused(async {
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let store = MemoryIdempotencyStore::new();
        let (engine, sink) = engine(IdempotentWork::new(store.clone()).ttl(Duration::ZERO));
        let runs = (0..4).map(|_| engine.run(&pipeline, 7, under("k")));
        for report in join_all(runs).await {
            assert_eq!(report.output().unwrap().number, 1);
        }
        assert_eq!(said(&sink), ["waited"; 3]);
        assert!(store.is_empty());
        let report = engine.run(&pipeline, 7, under("k")).await;
        assert_eq!(report.output().unwrap().number, 2);
    });
}

#[test]
fn there_is_one_such_layer_around_a_stage() {
    let layer = || IdempotentWork::new(MemoryIdempotencyStore::new());
    let twice = Engine::builder().intercept(layer()).intercept(layer());
    assert_eq!(twice.try_build().unwrap_err().code(), "SF0412");
    let apart = Engine::builder().intercept(layer());
    let apart = apart.intercept_on(On::stage("pay"), layer());
    assert!(apart.try_build().is_ok());
}

#[test]
fn retries_are_inside_and_the_work_is_done_under_one_hold() {
    paused(async {
        let stage = script::transient::<Arc<u64>, u64>("busy").taking(10.millis());
        let stage = stage.then(script::transient("busy")).then(script::ok(5));
        let probe = stage.probe();
        let mut p = Pipeline::builder("flaky");
        let n = p.input::<u64>();
        let pay = p.stage("pay", stage).kind(StageKind::Work).after(n);
        let pipeline = p.output(pay).build().unwrap();
        let sink = RecordingSink::new();
        let engine = Engine::builder()
            .intercept(crate::idempotency_endings::Again)
            .intercept(IdempotentWork::new(MemoryIdempotencyStore::new()))
            .events(sink.clone())
            .build();
        let runs = (0..3).map(|_| engine.run(&pipeline, 7, under("k")));
        for report in join_all(runs).await {
            assert_eq!(report.output().unwrap(), &5);
        }
        assert_eq!(probe.calls(), 3);
        assert_eq!(said(&sink), ["waited"; 2]);
    });
}
