//! Whose turn it is, and who is turned away.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stageflow::context::{OrgId, StageErrorKind, SystemIds};
use stageflow::interceptors::{BulkheadView, KeyBy, Shedding};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, RecordingSink, paused, script};

use crate::support::Lab;

use super::{Order, bulkhead, seen, some, weighing};
use crate::layers::notices;

#[test]
fn turns_go_by_weight_and_nobody_starves() {
    paused(async {
        let order = Order::default();
        let engine = Engine::builder()
            .intercept(bulkhead(1).queue(some(200)))
            .build();
        let pipeline = order.pipeline();
        let first = [engine.run(&pipeline, 0, RunOptions::new())];
        let light = (0..20).map(|_| engine.run(&pipeline, 1, weighing(1)));
        let normal = (0..40).map(|_| engine.run(&pipeline, 4, weighing(4)));
        let heavy = (0..80).map(|_| engine.run(&pipeline, 8, weighing(8)));
        join_all(first.into_iter().chain(light).chain(normal).chain(heavy)).await;
        let began = order.began();
        for (round, turns) in began[1..=130].chunks(13).enumerate() {
            let of = |weight: u64| turns.iter().filter(|began| **began == weight).count();
            assert_eq!([of(8), of(4), of(1)], [8, 4, 1], "round {round}: {turns:?}");
        }
    });
}

#[test]
fn a_heavier_call_takes_the_place_of_the_newest_of_the_lightest() {
    paused(async {
        let (order, sink) = (Order::default(), RecordingSink::new());
        let held = bulkhead(1).queue(some(2));
        let engine = Engine::builder()
            .intercept(held.clone())
            .events(sink.clone())
            .build();
        let pipeline = order.pipeline();
        let warm_up = engine.run(&pipeline, 9, RunOptions::new()).await;
        assert!(warm_up.is_success());
        let runs = [(0, 4), (1, 1), (2, 1), (3, 4), (4, 1), (5, 4)];
        let runs = runs.map(|(n, weight)| engine.run(&pipeline, n, weighing(weight)));
        let reports = join_all(runs).await;
        assert_eq!(
            order.began(),
            [9, 0, 3, 5],
            "1 and 2 have lost their places, 4 has had none"
        );
        for (n, report) in reports.iter().enumerate() {
            let error = report.error();
            assert_eq!(error.is_some(), [1, 2, 4].contains(&n), "{n}");
            if let Some(error) = error {
                assert_eq!(*error.kind(), StageErrorKind::Rejected);
                assert_eq!(error.class(), ErrorClass::Transient);
                // Calls take a second, and those that come next have two or three before them.
                let after = error.retry_after().unwrap();
                assert!((2.secs()..=3.secs()).contains(&after), "{n}: {after:?}");
                assert_eq!(report.duration(), Duration::ZERO);
            }
        }
        let names: Vec<_> = notices(&sink).into_iter().map(|(name, _)| name).collect();
        let count = |name: &str| names.iter().filter(|said| *said == name).count();
        assert_eq!(count("layer.bulkhead.shed"), 2);
        assert_eq!(count("layer.bulkhead.rejected"), 1);
        assert_eq!(count("layer.bulkhead.waited"), 2);
        assert_eq!(seen(&held), [1, 0, 0]);
        sink.assert_ok();
    });
}

#[test]
fn nobody_loses_a_place_if_only_the_newest_are_turned_away() {
    paused(async {
        let order = Order::default();
        let held = bulkhead(1).queue(some(1)).shed(Shedding::Newest);
        let engine = Engine::builder().intercept(held).build();
        let pipeline = order.pipeline();
        let runs = [(0, 4), (1, 1), (2, 8)].map(|(n, w)| engine.run(&pipeline, n, weighing(w)));
        join_all(runs).await;
        assert_eq!(order.began(), [0, 1]);
    });
}

#[test]
fn a_call_waits_no_longer_than_it_may() {
    paused(async {
        let (order, sink) = (Order::default(), RecordingSink::new());
        let held = bulkhead(1).wait_up_to(1500.millis());
        let engine = Engine::builder()
            .intercept(held.clone())
            .events(sink.clone())
            .build();
        let pipeline = order.pipeline();
        let runs = (0..4).map(|n| engine.run(&pipeline, n, RunOptions::new()));
        let reports = join_all(runs).await;
        assert_eq!(order.began(), [0, 1]);
        let durations: Vec<_> = reports.iter().map(RunReport::duration).collect();
        assert_eq!(
            durations,
            [1.secs(), 2.secs(), 1500.millis(), 1500.millis()]
        );
        let told = |ms: u64| json!({ "key": "held/a", "ms": ms });
        let late = json!({ "key": "held/a", "ms": 1500, "why": "wait" });
        assert_eq!(
            notices(&sink),
            [
                ("layer.bulkhead.waited".to_owned(), told(1000)),
                ("layer.bulkhead.rejected".to_owned(), late.clone()),
                ("layer.bulkhead.rejected".to_owned(), late),
            ]
        );
        assert_eq!(seen(&held), [1, 0, 0]);
    });
}

#[test]
fn without_a_queue_it_rejects_at_once() {
    paused(async {
        let gate = Gate::new();
        let lab = Lab::with(|engine| engine.intercept(bulkhead(2)));
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok(1_u64).behind(&gate)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let run = || lab.engine.run(&pipeline, 0, RunOptions::new());
        let third = async {
            let report = run().await;
            gate.open();
            report
        };
        let (first, second, third) = tokio::join!(run(), run(), third);
        assert!(first.is_success() && second.is_success());
        let error = third.error().unwrap();
        assert_eq!(error.retry_after(), None, "nothing is known yet");
        assert_eq!(
            error.to_string(),
            "SF0313: stage `a` was rejected: layer `bulkhead`: `held/a` is full: 2 inside, 0 waiting; try again later, or look at \
             the layer that is named: it protects what the stage calls"
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn orgs_have_places_of_their_own_unless_they_share() {
    let peak = |by: KeyBy| {
        paused(async move {
            let engine = Engine::builder().intercept(bulkhead(1).key(by)).build();
            let stage = script::ok::<_, u64>(1).taking(1.secs());
            let probe = stage.probe();
            let mut p = Pipeline::builder("held");
            let n = p.input::<u64>();
            let a = p.stage("a", stage).after(n);
            let pipeline = p.output(a).build().unwrap();
            let orgs = [(); 3].map(|()| OrgId::generate(&SystemIds::new()));
            let runs = orgs
                .iter()
                .chain(&orgs)
                .map(|org| engine.run(&pipeline, 0, RunOptions::new().org(*org)));
            join_all(runs).await;
            probe.peak()
        })
    };
    assert_eq!(peak(KeyBy::stage()), 3);
    assert_eq!(peak(KeyBy::dependency("model")), 3);
    assert_eq!(peak(KeyBy::dependency("model").across_orgs()), 1);
}

/// A place that is kept for one attempt is free between attempts.
#[test]
fn attempts_count_if_that_is_said() {
    let duration = |held: Bulkhead| {
        paused(async move {
            let retry = Retry::constant(2).first(10.secs()).jitter(Jitter::None);
            let engine = Engine::builder().intercept(retry).intercept(held).build();
            let pipeline = |name, stage| {
                let mut p = Pipeline::builder(name);
                let n = p.input::<u64>();
                let a = p.stage("a", stage).after(n);
                p.output(a).build().unwrap()
            };
            let flaky = pipeline("flaky", script::flaky(1, 1_u64));
            let steady = pipeline("steady", script::ok(1_u64));
            let (_, steady) = tokio::join!(
                engine.run(&flaky, 0, RunOptions::new()),
                engine.run(&steady, 0, RunOptions::new())
            );
            assert!(steady.is_success());
            steady.duration()
        })
    };
    let held = || bulkhead(1).key(KeyBy::engine()).wait_up_to(60.mins());
    assert_eq!(duration(held()), 10.secs());
    assert_eq!(duration(held().each_attempt()), Duration::ZERO);
}

#[test]
fn a_view_is_of_plain_numbers() {
    paused(async {
        let held = bulkhead(3);
        assert_eq!(held.view(), []);
        let engine = Engine::builder().intercept(held.clone()).build();
        let order = Order::default();
        engine.run(&order.pipeline(), 1, RunOptions::new()).await;
        let view: Vec<(String, BulkheadView)> = held
            .view()
            .into_iter()
            .map(|(key, view)| (key.to_string(), view))
            .collect();
        assert_eq!(view[0].0, "held/a");
        assert_eq!((view[0].1.limit, view[0].1.inside), (3, 0));
    });
}
