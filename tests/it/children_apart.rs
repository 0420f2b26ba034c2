//! Runs of stages whose names begin alike, and of parts whose names do: each is only its own stage's.

use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{PartLimits, Step};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use crate::attempts::Again;
use crate::children::of;
use crate::support::{Lab, placed};

/// Fails at once, and works the second time.
fn flaky() -> impl Stage<Input = Arc<u64>, Output = u64> {
    stage_fn(async |cx: StageCx, n: Arc<u64>| {
        tokio::time::sleep(10.millis()).await;
        match cx.attempt().get() {
            1 => Err(Stop::transient("busy")),
            _ => Ok(*n),
        }
    })
}

#[test]
fn another_attempt_of_a_stage_leaves_alone_what_a_stage_with_a_longer_name_has_started() {
    for placement in [Placement::Inline, Placement::Spawn] {
        for longer in ["a.b", "a.b.c"] {
            paused(async {
                let lab = Lab::with(|builder| builder.intercept(Again(2)));
                let child = of("child", script::ok(5_u64).taking(Duration::from_secs(1)));
                let mut p = Pipeline::builder("apart");
                let n = p.input::<u64>();
                let short = placed(p.stage("a", flaky()), placement).after(n);
                let long = placed(p.stage(longer, sub(&child)), placement).after(n);
                let sum = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
                let sum = p.stage("sum", sum).after((short, long));
                let pipeline = p.output(sum).build().unwrap();
                let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
                assert_eq!(report.output().unwrap(), &6, "{placement:?} {longer}");
                assert_eq!(report.stage("a").unwrap().attempts(), 2);
                assert_eq!(report.stage(longer).unwrap().attempts(), 1);
                // The second attempt waits for nobody either.
                assert_eq!(report.duration(), 1.secs());
                lab.assert_nothing_left().await;
            });
        }
    }
}

#[test]
fn another_attempt_of_a_part_leaves_alone_what_a_part_with_a_longer_name_has_started() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Again(2)));
        let child = of("child", script::ok(5_u64).taking(Duration::from_secs(1)));
        let both = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let child = child.clone();
            async move {
                let short = cx.call(
                    Step::Named("x".into()),
                    PartLimits::default(),
                    |cx| async move {
                        tokio::time::sleep(10.millis()).await;
                        match cx.attempt().get() {
                            1 => Err(Stop::transient("busy")),
                            _ => Ok(1_u64),
                        }
                    },
                );
                let long = cx.call(Step::Named("x.y".into()), PartLimits::default(), |cx| {
                    let (child, n) = (child.clone(), Arc::clone(&n));
                    async move { Ok(*cx.run(&child, n).await?) }
                });
                let (short, long) = futures_util::future::join(short, long).await;
                Ok::<_, Stop>(*short? + *long?)
            }
        });
        let pipeline = of("parts", both);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &6);
        assert_eq!(report.duration(), 1.secs());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn it_does_wait_for_what_its_own_parts_have_started() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Again(2)));
        let tidying = lab.tidying.clone();
        let child = of(
            "child",
            stage_fn(move |cx: StageCx, _: Arc<u64>| {
                tidying.add_with(&cx, "child", || tokio::time::sleep(2.secs()));
                async { std::future::pending::<Result<u64, Stop>>().await }
            }),
        );
        let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let child = child.clone();
            async move {
                if cx.attempt().get() == 2 {
                    return Ok(*n);
                }
                let part = cx.call(Step::Item(3), PartLimits::default(), |cx| {
                    let (child, n) = (child.clone(), Arc::clone(&n));
                    async move { Ok(*cx.run(&child, n).await?) }
                });
                drop(tokio::time::timeout(1.secs(), part).await);
                Err(Stop::transient("it takes too long"))
            }
        });
        let pipeline = of("parent", stage);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(report.is_success(), "{:?}", report.errors());
        assert_eq!(report.duration(), 3.secs());
        lab.assert_nothing_left().await;
    });
}
