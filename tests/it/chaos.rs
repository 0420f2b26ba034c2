//! Failures on purpose: what becomes of calls, that the same seeds do the same, and that everything is told and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::{DynValue, StageErrorKind};
use stageflow::events::EventKind;
use stageflow::graph::Placement;
use stageflow::interceptors::{Injected, On};
use stageflow::prelude::*;
use stageflow_testkit::{RecordingSink, on_each_runtime, paused, script};
use tokio::time::Instant;

use crate::attempts::Again;
use crate::support::{Lab, alone, json_text};

const ALWAYS: Chance = Chance::ALWAYS;

/// What was told of injections: where, and what.
fn told(sink: &RecordingSink) -> Vec<String> {
    let all = sink.all().into_iter();
    all.filter_map(|recorded| match recorded.event.kind() {
        EventKind::Layer { notice, .. } => {
            assert_eq!(&**notice.name(), "layer.chaos.injected");
            let part = notice.part().map(ToString::to_string).unwrap_or_default();
            let stage = recorded.stage().unwrap_or_default();
            Some(format!("{stage}{part} {}", json_text(notice.payload())))
        }
        _ => None,
    })
    .collect()
}

fn injected(change: impl FnOnce(&mut Injected)) -> Injected {
    let mut injected = Injected::default();
    change(&mut injected);
    injected
}

#[test]
fn each_kind_ends_the_call_as_it_says_and_the_stage_is_not_called() {
    paused(async {
        let limit = Duration::from_secs(3);
        let transient = StageErrorKind::Failed(ErrorClass::Transient);
        let permanent = StageErrorKind::Failed(ErrorClass::Permanent);
        let panicked = StageErrorKind::Panicked(ErrorClass::Permanent);
        let kinds = [
            (
                Chaos::new(1).errors(ALWAYS),
                permanent,
                injected(|i| i.errors = 1),
            ),
            (
                Chaos::new(1).transient_errors(ALWAYS),
                transient,
                injected(|i| i.transient_errors = 1),
            ),
            (
                Chaos::new(1).panics(ALWAYS),
                panicked,
                injected(|i| i.panics = 1),
            ),
            (
                Chaos::new(1).hangs(ALWAYS),
                StageErrorKind::TimedOut(limit),
                injected(|i| i.hangs = 1),
            ),
            (
                Chaos::new(1).malformed(ALWAYS),
                StageErrorKind::WrongAnswer,
                injected(|i| i.malformed = 1),
            ),
        ];
        for (chaos, kind, count) in kinds {
            // On a blocking thread the paused clock would stand still while a call hangs.
            for placement in [Placement::Inline, Placement::Spawn] {
                let chaos = chaos.clone();
                let lab = Lab::with(|builder| {
                    builder
                        .intercept(chaos.clone())
                        .intercept(Timeout::attempt(limit))
                });
                let before = chaos.injected().failures();
                let stage = script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe);
                let report = lab
                    .engine
                    .run(&alone(stage, placement), 1, RunOptions::new())
                    .await;
                let error = report.error().unwrap();
                assert_eq!(error.kind(), &kind, "{error}");
                assert_eq!(lab.probe.calls(), 0);
                assert_eq!(told(&lab.sink).len(), 1);
                assert_eq!(chaos.injected().failures(), before + 1);
                if before == 0 {
                    assert_eq!(chaos.injected(), count);
                }
                lab.assert_nothing_left().await;
            }
        }
    });
}

#[test]
fn a_hang_without_a_limit_lasts_as_long_as_the_run() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Chaos::new(1).hangs(ALWAYS)));
        let stage = script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe);
        let options = RunOptions::new().deadline(Duration::from_secs(9));
        let report = lab
            .engine
            .run(&alone(stage, Placement::Inline), 1, options)
            .await;
        assert_eq!(report.duration(), Duration::from_secs(9));
        assert_eq!(
            (report.outcome(), lab.probe.calls()),
            (Outcome::TimedOut, 0)
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_latency_comes_before_the_call_and_its_time_counts() {
    paused(async {
        let ms = Duration::from_millis;
        // How long the stage takes, the limit, and how it ends after how long.
        let cases = [
            (50, Timeout::attempt(ms(300)), None, 250),
            (
                150,
                Timeout::attempt(ms(300)),
                Some(StageErrorKind::TimedOut(ms(300))),
                300,
            ),
            (
                50,
                Timeout::attempt(ms(200)),
                Some(StageErrorKind::TimedOut(ms(200))),
                200,
            ),
            (
                50,
                Timeout::idle(ms(200)),
                Some(StageErrorKind::IdleTimedOut(ms(200))),
                200,
            ),
            (190, Timeout::idle(ms(201)), None, 390),
        ];
        for (takes, timeout, kind, ends) in cases {
            let chaos = Chaos::new(1).latency(ALWAYS, ms(200)..=ms(200));
            let lab = Lab::with(|builder| builder.intercept(chaos.clone()).intercept(timeout));
            let stage = script::ok::<Arc<u64>, u64>(1).taking(ms(takes));
            let pipeline = alone(stage, Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            let seen = report.error().map(|error| error.kind().clone());
            assert_eq!(
                (seen, report.duration()),
                (kind, ms(ends)),
                "{takes} {timeout:?}"
            );
            assert_eq!(
                told(&lab.sink),
                [r#"a {"ms":200.0,"pass":1,"what":"latency"}"#]
            );
            assert_eq!(chaos.injected(), injected(|i| i.latencies = 1));
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn latencies_are_within_their_range_and_limits_are_whole_again_for_the_next_attempt() {
    paused(async {
        let (least, most) = (Duration::from_millis(100), Duration::from_millis(900));
        let limit = Duration::from_millis(1000);
        let chaos = Chaos::new(5).latency(ALWAYS, least..=most);
        let engine = Engine::builder()
            .intercept(Again(20))
            .intercept(Timeout::attempt(limit))
            .intercept(chaos.clone())
            .build();
        // Longer than what the longest latency leaves, and not longer than what the shortest does.
        let stage = script::ok::<Arc<u64>, u64>(1).taking(Duration::from_millis(850));
        let pipeline = alone(stage, Placement::Inline);
        let mut ended = 0;
        for seed in 0..20 {
            let began = Instant::now();
            let report = engine.run(&pipeline, 1, RunOptions::new().seed(seed)).await;
            let error = report.error().map(|error| error.kind().clone());
            let is_known = error
                .as_ref()
                .is_none_or(|kind| *kind == StageErrorKind::TimedOut(limit));
            assert!(is_known, "the whole limit is said: {error:?}");
            ended += u32::from(report.is_success());
            assert!(began.elapsed() >= least);
        }
        // About one attempt of six is in time, so nearly all runs of twenty attempts end well.
        assert!(ended >= 15, "{ended}");
    });
}

#[test]
fn a_value_can_be_changed_on_the_way() {
    paused(async {
        for (change, seen) in [
            (DynValue::new(8_u64), Ok(8)),
            (DynValue::new("eight"), Err(StageErrorKind::WrongAnswer)),
        ] {
            let chaos = Chaos::new(1).malformed_with(ALWAYS, move |_| change.clone());
            let lab = Lab::with(|builder| builder.intercept(chaos));
            let stage = script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe);
            let report = lab
                .engine
                .run(&alone(stage, Placement::Inline), 1, RunOptions::new())
                .await;
            let given = report.output().copied();
            assert_eq!(
                given.map_err(|_| report.error().unwrap().kind().clone()),
                seen
            );
            assert_eq!(lab.probe.calls(), 1);
        }
    });
}

#[test]
fn calls_that_are_not_meant_are_left_alone() {
    paused(async {
        let chaos = Chaos::new(1)
            .errors(ALWAYS)
            .on(|call| call.stage().as_str() != "a");
        let engine = Engine::builder().intercept(chaos.clone()).build();
        let pipeline = alone(script::ok::<_, u64>(1), Placement::Inline);
        assert!(
            engine
                .run(&pipeline, 1, RunOptions::new())
                .await
                .is_success()
        );
        assert_eq!(chaos.injected(), Injected::default());

        let chaos = Chaos::new(1).errors(Chance::NEVER).panics(Chance::NEVER);
        let engine = Engine::builder()
            .intercept_on(On::stage("a"), chaos)
            .build();
        assert!(
            engine
                .run(&pipeline, 1, RunOptions::new())
                .await
                .is_success()
        );
    });
}

/// Twenty stages side by side, and a map of ten items, all met by chaos three times at most.
async fn ends(chaos: u64, run: u64, placement: Placement) -> (Vec<String>, Injected) {
    let part = Chance::percent::<12>();
    let chaos = Chaos::new(chaos)
        .errors(part)
        .transient_errors(part)
        .malformed(part)
        .latency(part, Duration::ZERO..=Duration::from_micros(300));
    let sink = RecordingSink::new();
    let engine = Engine::builder()
        .intercept(Again(3))
        .intercept(chaos.clone())
        .events(sink.clone())
        .placement(placement)
        .build();
    let mut p = Pipeline::builder("wide");
    let n = p.input::<u64>();
    let mut all = Vec::new();
    for at in 0..20 {
        let stage = stage_fn(async |_cx, n: Arc<u64>| {
            tokio::task::yield_now().await;
            Ok(*n)
        });
        all.push(p.stage(format!("s{at}"), stage).optional().after(n));
    }
    let all = p
        .stage("all", script::ok::<_, Vec<u64>>((0..10).collect()))
        .after(all);
    let item = stage_fn(async |_cx, n: Item<u64>| Ok(*n));
    let items = p.stage("items", map(item)).optional().after(all);
    let pipeline = p.output(items).build().unwrap();
    engine.run(&pipeline, 1, RunOptions::new().seed(run)).await;
    sink.assert_sound(pipeline.plan());
    let mut told = told(&sink);
    told.sort();
    (told, chaos.injected())
}

#[test]
fn the_same_seeds_do_the_same_however_stages_are_scheduled_and_others_do_not() {
    let expected = Arc::new(paused(ends(7, 11, Placement::Inline)));
    assert!(expected.0.len() > 10, "{expected:?}");
    for placement in [Placement::Inline, Placement::Spawn] {
        on_each_runtime(|_| {
            let expected = Arc::clone(&expected);
            async move {
                for again in join_all((0..4).map(|_| ends(7, 11, placement))).await {
                    assert_eq!(again, *expected);
                }
            }
        });
    }
    assert_ne!(paused(ends(8, 11, Placement::Inline)), *expected);
    assert_ne!(paused(ends(7, 12, Placement::Inline)), *expected);
}

#[test]
fn what_is_told_is_what_is_counted() {
    let (told, injected) = paused(ends(3, 4, Placement::Inline));
    let mut by_kind = BTreeMap::<&str, u64>::new();
    for line in &told {
        let kind = line
            .rsplit(r#""what":""#)
            .next()
            .unwrap()
            .trim_end_matches("\"}");
        *by_kind.entry(kind).or_default() += 1;
    }
    let count = |kind| by_kind.get(kind).copied().unwrap_or_default();
    assert_eq!(count("error"), injected.errors);
    assert_eq!(count("transient_error"), injected.transient_errors);
    assert_eq!(count("malformed"), injected.malformed);
    assert_eq!(count("latency"), injected.latencies);
    assert_eq!(told.len() as u64, injected.failures() + injected.latencies);
}

#[test]
fn it_happens_as_often_as_the_chances_say() {
    paused(async {
        const CALLS: u64 = 4000;
        let of = |probability| Chance::of(probability).unwrap();
        let chaos = Chaos::new(1)
            .transient_errors(of(0.1))
            .errors(of(0.25))
            .panics(of(0.5))
            // What is beyond 100 % is cut off: this has 15 %.
            .malformed(of(0.5))
            .latency(of(0.3), Duration::ZERO..=Duration::ZERO);
        let engine = Engine::builder().intercept(chaos.clone()).build();
        let pipeline = alone(script::ok::<_, u64>(1), Placement::Inline);
        for seed in 0..CALLS {
            engine.run(&pipeline, 1, RunOptions::new().seed(seed)).await;
        }
        let injected = chaos.injected();
        for (count, chance) in [
            (injected.transient_errors, 0.1),
            (injected.errors, 0.25),
            (injected.panics, 0.5),
            (injected.malformed, 0.15),
            (injected.latencies, 0.3),
        ] {
            // Four standard deviations: the seeds are fixed, so this does not change from run to run.
            let (mean, all) = (CALLS as f64 * chance, CALLS as f64);
            let off = (count as f64 - mean).abs() / (all * chance * (1.0 - chance)).sqrt();
            assert!(off < 4.0, "{count} of {CALLS} at {chance}: {off}");
        }
        assert_eq!(injected.failures(), CALLS);
    });
}
