//! Items of maps, rounds of loops, and parts that a stage makes itself.

use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow::auth::{Authorize, Decision, Principal, Resource};
use stageflow::context::{PartLimits, Step};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use super::{By, as_, lab, rbac, somebody, told};

fn over<O: Send + Sync + 'static>(
    stage: impl Stage<Input = Arc<Vec<Arc<u64>>>, Output = O>,
) -> Pipeline<Vec<Arc<u64>>, O> {
    let mut p = Pipeline::builder("over");
    let n = p.input::<Vec<Arc<u64>>>();
    let a = p.stage("a", stage).require("kb:read").after(n);
    p.output(a).build().unwrap()
}

fn items(count: u64) -> Vec<Arc<u64>> {
    (0..count).map(Arc::new).collect()
}

async fn double(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    Ok(*n * 2)
}

#[test]
fn each_item_of_a_map_is_asked_about() {
    paused(async {
        let lab = lab(Authorize::new(rbac()));
        let one = NonZeroU32::MIN.try_into().unwrap();
        let pipeline = over(map(stage_fn(double)).width(one));
        let report = lab
            .engine
            .run(&pipeline, items(3), as_(&somebody("reader")))
            .await;
        assert_eq!(report.output().unwrap().len(), 3);
        assert_eq!(
            told(&lab.sink),
            [
                "a[0] kb:read allowed",
                "a[1] kb:read allowed",
                "a[2] kb:read allowed"
            ]
        );
        // Of nothing there is nothing to ask.
        lab.sink.clear();
        let report = lab
            .engine
            .run(&pipeline, items(0), as_(&somebody("nothing")))
            .await;
        assert_eq!(report.output().unwrap().len(), 0);
        assert_eq!(told(&lab.sink).len(), 0);
    });
}

#[test]
fn one_item_that_is_denied_denies_the_run_whatever_the_map_makes_of_failures() {
    paused(async {
        // The second question is answered with no.
        let second = || {
            let asked = std::sync::atomic::AtomicU32::new(0);
            By(move |_: &Principal, _: &str, _: &Resource| {
                match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    1 => Decision::deny("enough"),
                    _ => Decision::allow("go on"),
                }
            })
        };
        let one = || NonZeroU32::MIN.try_into().unwrap();
        let outcome = async |kind: u32| {
            let lab = lab(Authorize::new(second()));
            let (options, input) = (as_(&somebody("reader")), items(3));
            let map = map(stage_fn(double)).width(one());
            let outcome = match kind {
                0 => lab.engine.run(&over(map), input, options).await.outcome(),
                1 => lab
                    .engine
                    .run(&over(map.skip_failed()), input, options)
                    .await
                    .outcome(),
                _ => lab
                    .engine
                    .run(&over(map.collect()), input, options)
                    .await
                    .outcome(),
            };
            (outcome, told(&lab.sink).len())
        };
        for kind in 0..3 {
            assert_eq!(outcome(kind).await, (Outcome::Denied, 2), "{kind}");
        }
    });
}

#[test]
fn each_round_of_a_loop_is_asked_about() {
    paused(async {
        let lab = lab(Authorize::new(rbac()));
        let halve = stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok(*n / 2));
        let small = repeat(halve)
            .until(|n: &u64| *n < 10)
            .at_most(NonZeroU32::new(5).unwrap());
        let mut p = Pipeline::builder("loop");
        let n = p.input::<u64>();
        let a = p.stage("a", small).require("kb:read").after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, 35, as_(&somebody("reader")))
            .await;
        assert_eq!(report.output().unwrap(), &8);
        assert_eq!(
            told(&lab.sink),
            ["a#1 kb:read allowed", "a#2 kb:read allowed"]
        );
    });
}

#[test]
fn a_stage_that_makes_parts_is_asked_about_itself_and_about_each() {
    paused(async {
        let lab = lab(Authorize::new(rbac()));
        let mut p = Pipeline::builder("own");
        let n = p.input::<u64>();
        let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            let n = *n;
            let part = cx.call(Step::Item(0), PartLimits::default(), move |_| async move {
                Ok(n)
            });
            Ok::<u64, Stop>(*part.await?)
        });
        let a = p.stage("a", stage).require("kb:read").after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, as_(&somebody("reader"))).await;
        assert_eq!(report.output().unwrap(), &1);
        assert_eq!(
            told(&lab.sink),
            ["a kb:read allowed", "a[0] kb:read allowed"]
        );
    });
}
