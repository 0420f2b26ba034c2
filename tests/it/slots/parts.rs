//! Parts of a stage: each has the stage's units for itself, unless it is inside something that has them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::join_all;
use stageflow::context::{PartLimits, Step};
use stageflow::graph::Shape;
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::Instant;

use super::{Ledger, level, units};
use crate::support::undisturbed;

/// A stage that does so many things at once, each a part of its own, each with a part in it.
struct Items {
    count: u32,
    shape: Shape,
    ledger: Ledger,
}

impl Stage for Items {
    type Input = Arc<u64>;
    type Output = u64;

    async fn run(&self, cx: StageCx, _n: Arc<u64>) -> Result<u64, Stop> {
        let item = |index| {
            let cx = cx.clone();
            async move {
                let ledger = &self.ledger;
                let work = async |cx: StageCx| {
                    let _taken = ledger.take(1);
                    let inside = async |_cx| {
                        tokio::time::sleep(10.millis()).await;
                        Ok(1_u64)
                    };
                    cx.call(Step::Round(1), PartLimits::default(), inside)
                        .await
                        .map(|one| *one)
                };
                cx.call(Step::Item(index), PartLimits::default(), work)
                    .await
                    .map(|one| *one)
            }
        };
        let done = join_all((0..self.count).map(item)).await;
        done.into_iter().sum()
    }

    fn shape(&self) -> Shape {
        self.shape.clone()
    }
}

fn items(count: u32, shape: Shape, ledger: &Ledger) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("items");
    let n = p.input::<u64>();
    let ledger = ledger.clone();
    let a = p
        .stage(
            "a",
            Items {
                count,
                shape,
                ledger,
            },
        )
        .pool("gpu", units(1))
        .after(n);
    p.output(a).build().unwrap()
}

#[test]
fn a_map_holds_nothing_and_each_of_its_items_takes_units() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(2)).build();
        let ledger = Ledger::default();
        let width = NonZeroUsize::new(8).unwrap();
        let pipeline = items(
            8,
            Shape::Map {
                width,
                limits: PartLimits::default(),
            },
            &ledger,
        );
        let started = Instant::now();
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &8);
        assert_eq!(ledger.peak(), 2);
        assert_eq!(started.elapsed(), 40.millis());
        assert_eq!(
            report.stage("a").unwrap().started(),
            Some(0.millis()),
            "it waits for nothing itself"
        );
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn parts_of_a_stage_that_holds_units_run_on_those() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let ledger = Ledger::default();
        let pipeline = items(8, Shape::Plain, &ledger);
        let started = Instant::now();
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &8);
        assert_eq!((ledger.peak(), started.elapsed()), (8, 10.millis()));
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn items_of_a_run_that_is_cancelled_give_everything_back() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(2)).build();
        let width = NonZeroUsize::new(8).unwrap();
        let pipeline = items(
            8,
            Shape::Map {
                width,
                limits: PartLimits::default(),
            },
            &Ledger::default(),
        );
        let run = engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let stop = async {
            tokio::time::sleep(15.millis()).await;
            assert_eq!(
                level(&engine, "gpu"),
                (2, 4),
                "two are at it, two were, four wait"
            );
            handle.cancel("enough");
        };
        let (report, ()) = futures_util::join!(run, stop);
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn units_shared_by_parts_are_lent_when_all_of_them_wait() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            let part = |index: u32| {
                let cx = cx.clone();
                async move {
                    let work = async |cx: StageCx| {
                        cx.lend(tokio::time::sleep((index * 10).millis())).await;
                        tokio::time::sleep(20.millis()).await;
                        Ok(())
                    };
                    cx.call(Step::Item(index), PartLimits::default(), work)
                        .await
                }
            };
            for done in join_all([part(1), part(2)]).await {
                done?;
            }
            Ok(*n)
        });
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).pool("gpu", units(1)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let look = async {
            let mut seen = Vec::new();
            for _ in 0..4 {
                tokio::time::sleep(5.millis()).await;
                seen.push(level(&engine, "gpu").0);
                tokio::time::sleep(5.millis()).await;
            }
            seen
        };
        let (report, seen) = futures_util::join!(engine.run(&pipeline, 1, RunOptions::new()), look);
        assert!(report.is_success());
        // Both wait until 10 ms; then one works, then both, then the other.
        assert_eq!(seen, [0, 1, 1, 1]);
        assert!(engine.slots().is_idle());
    });
}
