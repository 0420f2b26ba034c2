//! What is kept for later is kept for those who may have it: nothing is outside the layer that decides.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::auth::{Authorize, Principal};
use stageflow::interceptors::MemoryIdempotencyStore;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{as_, door, org, rbac, told};
use crate::support::{Lab, watched};

fn room() -> Cache {
    Cache::new(NonZeroUsize::new(10).unwrap())
}

fn lab(
    builder: impl FnOnce(stageflow::executor::EngineBuilder) -> stageflow::executor::EngineBuilder,
) -> Lab {
    // The layer that decides is registered last, and is outside all the same.
    Lab::with(|engine| builder(engine.admit(door())).intercept(Authorize::new(rbac())))
}

/// Two of one org: who may read, and who may not.
fn two() -> [Principal; 2] {
    let acme = org();
    let ada = Principal::new("ada", acme).with_role("reader");
    [ada, Principal::new("bob", acme).with_role("nothing")]
}

#[test]
fn a_cached_answer_is_not_given_to_who_may_not_have_it() {
    paused(async {
        let cache = room();
        let lab = lab(|engine| engine.intercept(cache.clone()));
        let [ada, bob] = two();
        let mut p = Pipeline::builder("cached");
        let n = p.input::<u64>();
        let stage = script::ok::<Arc<u64>, u64>(7).watched_by(&lab.probe);
        let a = p.stage("a", stage).require("kb:read").cached().after(n);
        let pipeline = p.output(a).build().unwrap();
        for who in [&ada, &ada, &bob, &ada] {
            let report = lab.engine.run(&pipeline, 1, as_(who)).await;
            let expected = (who.subject() == "ada").then_some(7);
            assert_eq!(report.output().ok().copied(), expected);
        }
        assert_eq!(lab.probe.calls(), 1);
        let stats = cache.stats();
        assert_eq!(
            (stats.hits, stats.misses),
            (2, 1),
            "the cache has not seen bob"
        );
        assert_eq!(
            told(&lab.sink),
            [
                "a kb:read allowed",
                "a kb:read allowed",
                "a kb:read denied",
                "a kb:read allowed"
            ]
        );
    });
}

#[test]
fn work_that_was_done_is_not_told_again_to_who_may_not_have_it() {
    paused(async {
        let store = MemoryIdempotencyStore::new();
        let lab = lab(|engine| engine.intercept(IdempotentWork::new(store)));
        let [ada, bob] = two();
        let mut p = Pipeline::builder("shop");
        let n = p.input::<u64>();
        let pay = watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| Ok(*n));
        let a = p
            .stage("pay", pay)
            .kind(StageKind::Work)
            .require("kb:read")
            .after(n);
        let pipeline = p.output(a).build().unwrap();
        let under = |who: &Principal| as_(who).idempotency(Idempotency::new("k1".parse().unwrap()));
        // Bob asks first: no key is taken for him.
        for who in [&bob, &ada, &bob, &ada] {
            let report = lab.engine.run(&pipeline, 5, under(who)).await;
            let expected = (who.subject() == "ada").then_some(5);
            assert_eq!(report.output().ok().copied(), expected);
        }
        assert_eq!(lab.probe.calls(), 1);
        assert_eq!(told(&lab.sink).len(), 4);
    });
}

#[test]
fn nobody_tries_again_what_is_denied_and_attempts_are_one_decision() {
    paused(async {
        let lab = lab(|engine| engine.intercept(Retry::exponential(5)));
        let [ada, bob] = two();
        let mut p = Pipeline::builder("flaky");
        let n = p.input::<u64>();
        let stage = script::transient::<Arc<u64>, u64>("busy")
            .then(script::ok(3))
            .watched_by(&lab.probe);
        let a = p.stage("a", stage).require("kb:read").after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, as_(&bob)).await;
        assert_eq!(report.stage("a").unwrap().attempts(), 0);
        let report = lab.engine.run(&pipeline, 1, as_(&ada)).await;
        assert_eq!(report.output().unwrap(), &3);
        assert_eq!(report.stage("a").unwrap().attempts(), 2);
        assert_eq!(told(&lab.sink), ["a kb:read denied", "a kb:read allowed"]);
    });
}

#[tokio::test]
async fn it_is_outside_all_other_layers() {
    let engine = lab(|engine| engine.intercept(room()).intercept(Retry::exponential(2))).engine;
    assert!(
        engine
            .describe()
            .starts_with("call\n└ authorize [security, hook]\n"),
        "{}",
        engine.describe()
    );
}
