//! Bulkheads: never more inside than the limit, whose turn it is, and that every place comes back.

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use stageflow::context::{OrgId, StageErrorKind, SystemIds};
use stageflow::events::EventKind;
use stageflow::executor::RunHandle;
use stageflow::interceptors::{Aimd, BulkheadView, KeyBy, Shedding};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, Property, RecordingSink, paused, script};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::Lab;

fn bulkhead(at_once: usize) -> Bulkhead {
    Bulkhead::new(NonZeroUsize::new(at_once).unwrap())
}

fn some(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn weighing(weight: u16) -> RunOptions {
    RunOptions::new().priority(Priority::weighing(NonZeroU16::new(weight).unwrap()))
}

/// What goes on: limit, inside, waiting.
fn seen(bulkhead: &Bulkhead) -> [usize; 3] {
    match bulkhead.view().as_slice() {
        [(_, view)] => [view.limit, view.inside, view.waiting],
        other => panic!("one key, not {other:?}"),
    }
}

fn said(sink: &RecordingSink) -> Vec<(String, Value)> {
    let told = sink.all().into_iter();
    told.filter_map(|recorded| match recorded.event.kind() {
        EventKind::Layer { notice, .. } => {
            Some((notice.name().to_string(), notice.payload().clone()))
        }
        _ => None,
    })
    .collect()
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum How {
    Succeeds,
    Fails,
    Panics,
    Skips,
    IsCancelled,
    IsDropped,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Start {
        weight: u16,
        engine: usize,
    },
    /// Of those that are there, inside or waiting.
    End {
        which: usize,
        how: How,
    },
}

fn ops() -> impl Strategy<Value = (usize, Vec<Op>)> {
    let how = prop_oneof![
        Just(How::Succeeds),
        Just(How::Fails),
        Just(How::Panics),
        Just(How::Skips),
        Just(How::IsCancelled),
        Just(How::IsDropped),
    ];
    let start = (prop::sample::select(vec![1_u16, 4, 8]), 0..2_usize)
        .prop_map(|(weight, engine)| Op::Start { weight, engine });
    let end = (any::<usize>(), how).prop_map(|(which, how)| Op::End { which, how });
    (
        1..5_usize,
        prop::collection::vec(prop_oneof![3 => start, 2 => end], 1..60),
    )
}

type Inside = Arc<Mutex<Vec<(u64, oneshot::Sender<How>)>>>;

struct Live {
    number: u64,
    weight: u16,
    handle: RunHandle,
    run: JoinHandle<RunReport<u64>>,
}

/// Calls of random runs, and a plain list of who is there.
struct World {
    limit: usize,
    bulkhead: Bulkhead,
    engines: [Engine; 2],
    pipeline: Pipeline<u64, u64>,
    inside: Inside,
    live: Vec<Live>,
    entered: Vec<u64>,
    next: u64,
}

impl World {
    fn new(limit: usize) -> Self {
        let bulkhead = bulkhead(limit).queue(some(1000));
        let inside = Inside::default();
        let there = Arc::clone(&inside);
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let (end, ends) = oneshot::channel();
            there.lock().unwrap().push((*n, end));
            async move {
                match ends.await {
                    Ok(How::Succeeds) => Ok(1),
                    Ok(How::Fails) => Err(Stop::transient("busy")),
                    Ok(How::Panics) => std::panic::resume_unwind(Box::new("on purpose")),
                    Ok(How::Skips) => Err(Stop::skip("nothing to do")),
                    Ok(How::IsCancelled | How::IsDropped) | Err(_) => std::future::pending().await,
                }
            }
        });
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        Self {
            limit,
            engines: [(); 2].map(|()| Engine::builder().intercept(bulkhead.clone()).build()),
            bulkhead,
            pipeline: p.output(a).build().unwrap(),
            inside,
            live: Vec::new(),
            entered: Vec::new(),
            next: 0,
        }
    }

    async fn start(&mut self, weight: u16, engine: usize) {
        let number = self.next;
        self.next += 1;
        let (engine, pipeline) = (self.engines[engine].clone(), self.pipeline.clone());
        let (give_handle, handle) = oneshot::channel();
        let run = tokio::spawn(async move {
            let run = engine.run(&pipeline, number, weighing(weight));
            let _ = give_handle.send(run.handle());
            run.await
        });
        self.live.push(Live {
            number,
            weight,
            handle: handle.await.unwrap(),
            run,
        });
    }

    async fn end(&mut self, which: usize, how: How) {
        if self.live.is_empty() {
            return;
        }
        let live = self.live.remove(which % self.live.len());
        let at = {
            let mut inside = self.inside.lock().unwrap();
            let at = inside.iter().position(|(number, _)| *number == live.number);
            at.map(|at| inside.remove(at))
        };
        match (how, at) {
            (How::IsDropped, _) => {
                live.run.abort();
                let _ = live.run.await;
                self.engines[0].settled().await;
                self.engines[1].settled().await;
            }
            (How::IsCancelled, _) | (_, None) => {
                live.handle.cancel("enough");
                live.run.await.unwrap();
            }
            (how, Some((_, end))) => {
                end.send(how).unwrap();
                live.run.await.unwrap();
            }
        }
    }

    /// As many are inside as there is room for, whoever is not waits, and nobody has passed one of its own weight.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let inside: Vec<u64> = self
            .inside
            .lock()
            .unwrap()
            .iter()
            .map(|(n, _)| *n)
            .collect();
        let expected = self.live.len().min(self.limit);
        prop_assert_eq!(inside.len(), expected, "of {} there", self.live.len());
        if self.next > 0 {
            let waiting = self.live.len() - expected;
            prop_assert_eq!(seen(&self.bulkhead), [self.limit, expected, waiting]);
        }
        self.entered.extend(&inside);
        for live in &self.live {
            let passed = |other: &&Live| other.weight == live.weight && other.number > live.number;
            let waits = !inside.contains(&live.number);
            let passing = self.live.iter().filter(passed);
            let is_passed = passing
                .filter(|other| inside.contains(&other.number))
                .count()
                > 0;
            prop_assert!(!(waits && is_passed), "{} was passed", live.number);
        }
        Ok(())
    }
}

#[test]
fn never_more_are_inside_and_every_place_comes_back() {
    Property::new("a bulkhead is as full as it may be, and no fuller")
        .cases(150)
        .holds_for(&ops(), |(limit, ops)| {
            paused(async {
                let mut world = World::new(limit);
                for op in ops {
                    match op {
                        Op::Start { weight, engine } => world.start(weight, engine).await,
                        Op::End { which, how } => world.end(which, how).await,
                    }
                    world.check().await?;
                }
                while !world.live.is_empty() {
                    world.end(0, How::Succeeds).await;
                    world.check().await?;
                }
                Ok(())
            })
        });
}

/// Names of what began, in order.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<u64>>>);

impl Order {
    /// Each call takes a second.
    fn pipeline(&self) -> Pipeline<u64, u64> {
        let order = self.clone();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            order.0.lock().unwrap().push(*n);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(*n)
            }
        });
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        p.output(a).build().unwrap()
    }

    fn began(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

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
        let names: Vec<_> = said(&sink).into_iter().map(|(name, _)| name).collect();
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
            said(&sink),
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

#[derive(Clone, Copy, Debug)]
enum Call {
    Well,
    Slow,
    Transient,
    Permanent,
    Skip,
}

fn calls() -> impl Strategy<Value = Vec<(Call, usize)>> {
    let call = prop_oneof![
        6 => Just(Call::Well),
        1 => Just(Call::Slow),
        2 => Just(Call::Transient),
        1 => Just(Call::Permanent),
        1 => Just(Call::Skip),
    ];
    prop::collection::vec((call, 1..12_usize), 1..30)
}

/// Waves of calls that begin and end together. How the limit moves is worked out from the rule alone.
#[test]
fn an_adaptive_limit_moves_as_the_rule_says() {
    Property::new("a limit grows by adding and shrinks by multiplying")
        .cases(100)
        .holds_for(&calls(), |waves| {
            let (seen, expected, inside) = paused(async {
                let aimd = Aimd::between(some(2), some(20))
                    .increase(NonZeroU32::new(3).unwrap())
                    .decrease(Percent::of::<70>())
                    .latency(2.secs());
                let held = bulkhead(6).adaptive(aimd);
                let engine = Engine::builder().intercept(held.clone()).build();
                let stage = stage_fn(async |_cx: StageCx, call: Arc<Call>| {
                    tokio::time::sleep(Duration::from_secs(match *call {
                        Call::Slow => 3,
                        _ => 1,
                    }))
                    .await;
                    match *call {
                        Call::Well | Call::Slow => Ok(1_u64),
                        Call::Transient => Err(Stop::transient("busy")),
                        Call::Permanent => Err(Stop::fail("bad request")),
                        Call::Skip => Err(Stop::skip("nothing to do")),
                    }
                });
                let mut p = Pipeline::builder("held");
                let n = p.input::<Call>();
                let a = p.stage("a", stage).after(n);
                let pipeline = p.output(a).build().unwrap();
                let (mut limit, mut seen_limits, mut limits) = (6.0_f64, Vec::new(), Vec::new());
                let mut peak_is_kept = true;
                for (call, size) in waves {
                    let runs = (0..size).map(|_| engine.run(&pipeline, call, RunOptions::new()));
                    let reports = join_all(runs).await;
                    let called = reports
                        .iter()
                        .filter(|report| report.duration() > Duration::ZERO)
                        .count();
                    let room = limit as usize;
                    peak_is_kept &= called == size.min(room);
                    for left in 0..called {
                        let inside = called - left;
                        match call {
                            Call::Well if inside * 2 >= limit as usize => {
                                limit = (limit + 3.0 / limit).min(20.0);
                            }
                            // All of a wave have begun together: they are one overload.
                            Call::Slow | Call::Transient if left == 0 => {
                                limit = (limit * 0.7).max(2.0);
                            }
                            _ => {}
                        }
                    }
                    seen_limits.push(held.view()[0].1.limit);
                    limits.push(limit as usize);
                }
                (seen_limits, limits, peak_is_kept)
            });
            prop_assert!(inside);
            prop_assert_eq!(seen, expected);
            Ok(())
        });
}

#[test]
fn a_limit_that_shrinks_lets_nobody_in_until_there_is_room() {
    paused(async {
        let aimd = Aimd::between(some(1), some(4)).decrease(Percent::of::<50>());
        let held = bulkhead(4).adaptive(aimd).queue(some(100));
        let sink = RecordingSink::new();
        let engine = Engine::builder()
            .intercept(held.clone())
            .events(sink.clone())
            .build();
        // The first fails after one second, the others take ten.
        let stage = stage_fn(async |_cx: StageCx, n: Arc<u64>| {
            tokio::time::sleep(Duration::from_secs(if *n == 0 { 1 } else { 10 })).await;
            if *n == 0 {
                Err(Stop::transient("busy"))
            } else {
                Ok(*n)
            }
        });
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        let pipeline = p.output(a).build().unwrap();
        let runs = join_all((0..8).map(|n| engine.run(&pipeline, n, RunOptions::new())));
        let look = async {
            let mut looks = Vec::new();
            for ms in [500, 1000, 9000] {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                looks.push(seen(&held));
            }
            looks
        };
        let (_, looks) = tokio::join!(runs, look);
        // 4 inside; one fails: 2, with 3 inside; those three end at 10 s, growing, and are followed.
        assert_eq!(looks[..2], [[4, 4, 4], [2, 3, 4]]);
        let [limit, inside, waiting] = looks[2];
        assert!(inside <= limit && inside + waiting == 4, "{looks:?}");
        let resized: Vec<_> = said(&sink)
            .into_iter()
            .filter(|(name, _)| name == "layer.bulkhead.resized")
            .map(|(_, told)| (told["from"].clone(), told["to"].clone()))
            .collect();
        assert_eq!(resized[0], (json!(4), json!(2)));
        for pair in resized.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
    });
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
