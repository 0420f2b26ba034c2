//! What a cache gives again, and to whom.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::context::{DynValue, OrgId, SystemIds};
use stageflow::events::EventKind;
use stageflow::graph::{Stage, StageBuilder};
use stageflow::interceptors::{CacheStats, On};
use stageflow::prelude::*;
use stageflow_testkit::{Probe, paused, script};
use tokio::time::sleep;

use crate::support::{Lab, PLACEMENTS, placed};

pub(crate) fn room(entries: usize) -> Cache {
    Cache::new(NonZeroUsize::new(entries).unwrap())
}

/// A pipeline `name` of one stage, `a`, that says of its number what it was called with.
pub(crate) fn lone<S: Stage<Input = Arc<u64>>>(
    name: &str,
    stage: S,
    options: impl FnOnce(StageBuilder<'_, S>) -> StageBuilder<'_, S>,
) -> Pipeline<u64, S::Output> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let a = options(p.stage("a", stage)).after(n);
    p.output(a).build().unwrap()
}

/// Doubles, and counts its calls.
pub(crate) fn double(probe: &Probe) -> impl Stage<Input = Arc<u64>, Output = String> + use<> {
    let twice = |n: Arc<u64>| Ok(format!("{}", *n * 2));
    script::give(twice).watched_by(probe)
}

async fn ask<O: Send + Sync + 'static>(lab: &Lab, pipeline: &Pipeline<u64, O>, n: u64) -> DynValue {
    let report = lab.engine.run(pipeline, n, RunOptions::new()).await;
    report.value_of("a").unwrap().clone()
}

/// Whether two outputs are the same `Arc`.
pub(crate) fn same(one: &DynValue, other: &DynValue) -> bool {
    let (one, other) = (one.downcast::<String>(), other.downcast::<String>());
    Arc::ptr_eq(&one.unwrap(), &other.unwrap())
}

#[tokio::test]
async fn the_same_input_is_answered_with_the_same_value() {
    for placement in PLACEMENTS {
        let cache = room(10);
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let pipeline = lone("p", double(&lab.probe), |a| placed(a.cached(), placement));
        let (first, again, other) = (
            ask(&lab, &pipeline, 1).await,
            ask(&lab, &pipeline, 1).await,
            ask(&lab, &pipeline, 2).await,
        );
        assert!(same(&first, &again) && !same(&first, &other));
        assert_eq!(other.downcast_ref::<String>().unwrap(), "4");
        assert_eq!(lab.probe.calls(), 2);
        let CacheStats {
            hits,
            misses,
            stored,
            entries,
            ..
        } = cache.stats();
        assert_eq!((hits, misses, stored, entries), (1, 2, 2, 2));
        assert_eq!(
            lab.assert_nothing_left().await,
            [
                "run started",
                "a started 1",
                "a succeeded 1",
                "layer.cache.stored",
                "run succeeded",
                "run started",
                "layer.cache.hit",
                "a answered succeeded",
                "run succeeded",
                "run started",
                "a started 1",
                "a succeeded 1",
                "layer.cache.stored",
                "run succeeded",
            ]
        );
    }
}

#[tokio::test]
async fn only_stages_that_were_declared_cached_are() {
    let cache = room(10);
    let lab = Lab::with(|builder| builder.intercept(cache.clone()));
    for pipeline in [
        lone("p", double(&lab.probe), |a| a),
        lone("q", double(&lab.probe), |a| a.digested()),
    ] {
        ask(&lab, &pipeline, 1).await;
        ask(&lab, &pipeline, 1).await;
    }
    assert_eq!(lab.probe.calls(), 4);
    assert_eq!(cache.stats(), CacheStats::default());
}

#[tokio::test]
async fn what_tells_calls_apart_keeps_them_apart() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let probe = &lab.probe;
    let first = lone("p", double(probe), |a| a.cached());
    let wrong_if = "another's value";
    let given = ask(&lab, &first, 1).await;
    // The same stage in a pipeline of another name, another version of it, another name of the stage.
    let other_pipeline = lone("q", double(probe), |a| a.cached());
    assert!(
        !same(&given, &ask(&lab, &other_pipeline, 1).await),
        "{wrong_if}"
    );
    let other_version = lone("p", double(probe), |a| a.version(2).cached());
    assert!(
        !same(&given, &ask(&lab, &other_version, 1).await),
        "{wrong_if}"
    );
    // The same names and version, and a value of another type: a program that was changed without a new version.
    let other_type = lone("p", script::ok::<Arc<u64>, u8>(7).watched_by(probe), |a| {
        a.cached()
    });
    let value = ask(&lab, &other_type, 1).await;
    assert_eq!(value.downcast_ref::<u8>(), Some(&7), "{wrong_if}");
    // A pipeline that is built again is the same.
    let again = lone("p", double(probe), |a| a.cached());
    assert!(same(&given, &ask(&lab, &again, 1).await));
    assert_eq!(probe.calls(), 4);
}

#[tokio::test]
async fn what_counts_of_an_input_is_what_was_chosen() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let pipeline = lone("p", double(&lab.probe), |a| {
        a.cached_by(|n: &Arc<u64>| **n / 10)
    });
    let (five, six) = (ask(&lab, &pipeline, 5).await, ask(&lab, &pipeline, 6).await);
    assert!(same(&five, &six));
    assert!(!same(&five, &ask(&lab, &pipeline, 15).await));
}

#[tokio::test]
async fn orgs_are_never_given_what_was_made_for_another() {
    let ids = SystemIds::new();
    let orgs = [
        None,
        Some(OrgId::generate(&ids)),
        Some(OrgId::generate(&ids)),
    ];
    for (cache, calls) in [(room(10), 3), (room(10).across_orgs(), 1)] {
        let lab = Lab::with(|builder| builder.intercept(cache));
        let pipeline = lone("p", double(&lab.probe), |a| a.cached());
        for _ in 0..2 {
            for org in orgs {
                let options = match org {
                    None => RunOptions::new(),
                    Some(org) => RunOptions::new().org(org),
                };
                let report = lab.engine.run(&pipeline, 1, options).await;
                assert_eq!(report.output().unwrap(), "2");
            }
        }
        assert_eq!(lab.probe.calls(), calls);
    }
}

#[test]
fn a_value_is_good_for_its_time_and_no_longer() {
    let second = Duration::from_secs(1);
    // When it is asked for, and how often the stage was called by then.
    let tables: [(Cache, &[(u32, usize)]); 3] = [
        (
            room(9).ttl(second * 10),
            &[(0, 1), (9, 1), (10, 2), (19, 2), (20, 3)],
        ),
        (
            room(9).idle(second * 10),
            &[(0, 1), (9, 1), (18, 1), (28, 2), (30, 2)],
        ),
        (
            room(9).ttl(second * 25).idle(second * 10),
            &[(0, 1), (9, 1), (18, 1), (24, 1), (25, 2), (35, 3)],
        ),
    ];
    for (cache, table) in tables {
        paused(async {
            let lab = Lab::with(|builder| builder.intercept(cache.clone()));
            let pipeline = lone("p", double(&lab.probe), |a| a.cached());
            let mut now = 0;
            for (at, calls) in table {
                sleep(second * (at - now)).await;
                now = *at;
                ask(&lab, &pipeline, 1).await;
                assert_eq!(lab.probe.calls(), *calls, "at {at} of {cache:?}");
            }
            let stats = cache.stats();
            assert_eq!(stats.expired + 1, stats.misses);
        });
    }
}

#[tokio::test]
async fn only_successes_are_kept() {
    for refusal in ["fail", "skip", "panic"] {
        let cache = room(10);
        let lab = Lab::with(|builder| builder.intercept(cache.clone()));
        let first = match refusal {
            "fail" => script::fail::<Arc<u64>, u64>("no"),
            "skip" => script::skip("nothing to do"),
            _ => script::panic("oh"),
        };
        let stage = first.then(script::ok(5)).watched_by(&lab.probe);
        let pipeline = lone("p", stage, |a| a.cached());
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(report.value_of("a").is_none());
        for _ in 0..2 {
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.output().unwrap(), &5);
        }
        assert_eq!((lab.probe.calls(), cache.stats().stored), (2, 1));
    }
}

#[tokio::test]
async fn it_holds_no_more_than_it_may() {
    let cache = room(8);
    let lab = Lab::with(|builder| builder.intercept(cache.clone()));
    let pipeline = lone("p", double(&lab.probe), |a| a.cached());
    for n in 0..100 {
        ask(&lab, &pipeline, n).await;
        assert!(cache.stats().entries <= 8);
    }
    let stats = cache.stats();
    assert_eq!((stats.stored, stats.entries + stats.evicted), (100, 100));
    // What was read last stays.
    ask(&lab, &pipeline, 99).await;
    ask(&lab, &pipeline, 92).await;
    assert_eq!(lab.probe.calls(), 100);
    ask(&lab, &pipeline, 91).await;
    assert_eq!(lab.probe.calls(), 101);
    cache.clear();
    assert_eq!(cache.stats().entries, 0);
    ask(&lab, &pipeline, 91).await;
    assert_eq!(lab.probe.calls(), 102);
}

#[tokio::test]
async fn an_input_that_cannot_be_told_apart_is_not_cached_and_that_is_told() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    // Both would be `null` in JSON.
    let pipeline = lone("p", double(&lab.probe), |a| {
        a.cached_by(|n: &Arc<u64>| if **n == 0 { f64::NAN } else { f64::INFINITY })
    });
    let (nan, infinite) = (ask(&lab, &pipeline, 0).await, ask(&lab, &pipeline, 1).await);
    assert!(!same(&nan, &infinite));
    let all = lab.sink.all();
    let told = all.iter().filter_map(|told| match told.event.kind() {
        EventKind::Layer { notice, .. } => Some((notice.name().to_string(), notice.payload())),
        _ => None,
    });
    let why = json!({ "error": "SF0126: stage `a` has an input that cannot be told apart from others: it has a number that is not \
        finite, which JSON cannot carry; name what of it counts with `.cached_by(..)` or `.digested_by(..)`" });
    let expected = ("layer.cache.no_digest".to_owned(), &why);
    assert_eq!(told.collect::<Vec<_>>(), [expected.clone(), expected]);
}

#[tokio::test]
async fn stages_by_name_are_told_apart_by_all_they_can_read() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let probe = &lab.probe;
    let mut p = Pipeline::by_name("p");
    let parity =
        async |_cx: StageCx, inputs: NamedInputs| Ok(json!(inputs.decode_run_input::<u64>()? % 2));
    p.stage("parity", stage_fn(parity)).root();
    let watch = probe.clone();
    let last = move |_cx: StageCx, inputs: NamedInputs| {
        watch.enter().done();
        let value = inputs.require("parity").cloned();
        async move { value.map_err(Stop::from) }
    };
    p.stage("last", stage_fn(last)).cached().after(["parity"]);
    let pipeline = p.build().unwrap();
    let mut asked = Vec::new();
    for n in [1, 1, 3, 1] {
        let report = lab.engine.run(&pipeline, json!(n), RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &json!(1));
        asked.push(probe.calls());
    }
    // 3 has the same parity, but the stage may read the run's input, too.
    assert_eq!(asked, [1, 1, 2, 2]);
}

#[derive(Route)]
enum Way {
    Left(u64),
    Right,
}

#[tokio::test]
async fn a_route_can_be_cached_and_takes_the_same_way_again() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let watch = lab.probe.clone();
    let choose = move |_cx: StageCx, n: Arc<u64>| {
        watch.enter().done();
        let way = if *n < 10 { Way::Left(*n) } else { Way::Right };
        async move { Ok::<_, Stop>(way) }
    };
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let WayArms { left, right } = p.route("choose", stage_fn(choose)).cached().after(n);
    let l = p.stage("l", script::give(|n: Arc<u64>| Ok(*n))).after(left);
    let r = p
        .stage("r", script::give(|_: Arc<()>| Ok(0_u64)))
        .after(right);
    let out = p.merge("out", [l, r]);
    let pipeline = p.output(out).build().unwrap();
    for (n, out, calls) in [(3, 3, 1), (3, 3, 1), (12, 0, 2), (12, 0, 2)] {
        let report = lab.engine.run(&pipeline, n, RunOptions::new()).await;
        assert_eq!((report.output().unwrap(), lab.probe.calls()), (&out, calls));
    }
}

#[tokio::test]
async fn one_for_fewer_stages_takes_the_place_of_one_for_more() {
    let (all, own) = (room(10), room(10));
    let lab = Lab::with(|builder| {
        builder
            .intercept(all.clone())
            .intercept_on(On::stage("a"), own.clone())
    });
    let pipeline = lone("p", double(&lab.probe), |a| a.cached());
    ask(&lab, &pipeline, 1).await;
    assert_eq!((all.stats().stored, own.stats().stored), (0, 1));
}

#[tokio::test]
async fn a_fallback_has_a_place_of_its_own() {
    let lab = Lab::with(|builder| builder.intercept(room(10)));
    let spare = Probe::new();
    let stage = script::fail::<Arc<u64>, u64>("down").watched_by(&lab.probe);
    let pipeline = lone("p", stage, |a| {
        a.cached().or("b", script::ok(9).watched_by(&spare))
    });
    for _ in 0..2 {
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &9);
    }
    // The failure is not kept, so it is tried again; what stood in for it is.
    assert_eq!((lab.probe.calls(), spare.calls()), (2, 1));
}
