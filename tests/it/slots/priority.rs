//! Who is served when there is not enough for all.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::Instant;

use super::{Ledger, busy, units};
use crate::support::{Log, undisturbed};

fn needy(stage: impl Stage<Input = Arc<u64>, Output = u64>) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("needy");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).pool("gpu", units(1)).after(n);
    p.output(a).build().unwrap()
}

/// Writes down who runs, in order.
fn signing(log: &Log) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let log = log.clone();
    stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        let log = log.clone();
        async move {
            log.write(n.to_string());
            tokio::time::sleep(1.millis()).await;
            Ok::<_, Stop>(*n)
        }
    })
}

#[test]
fn a_saturating_class_leaves_the_low_one_its_share() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let pipeline = needy(busy(&Ledger::default(), 1, 10));
        let (high, low) = (
            RunOptions::new().priority(Priority::HIGH),
            RunOptions::new().priority(Priority::LOW),
        );
        let end = Instant::now() + 30.secs();
        let saturating = async {
            let mut running: FuturesUnordered<_> = (0..50)
                .map(|n| engine.run(&pipeline, n, high.clone()))
                .collect();
            while running.next().await.is_some() {
                if Instant::now() < end {
                    running.push(engine.run(&pipeline, 0, high.clone()));
                }
            }
        };
        let steady = async {
            let runs = (0..300_u32).map(|n| {
                let run = async || engine.run(&pipeline, 0, low.clone()).await;
                async move {
                    tokio::time::sleep(n * 100.millis()).await;
                    run().await
                }
            });
            let reports = join_all(runs).await;
            let waited = reports
                .iter()
                .map(|r| r.stage("a").unwrap().started().unwrap());
            let longest = waited.max().unwrap_or(Duration::ZERO);
            assert!(
                Instant::now() <= end + 50.millis(),
                "each of them in its time"
            );
            (reports.len(), longest)
        };
        let ((), (served, longest)) = futures_util::join!(saturating, steady);
        assert_eq!(served, 300, "a tenth of the time");
        assert!(
            longest <= 20 * 10.millis(),
            "twenty times the service: {longest:?}"
        );
        assert!(
            longest <= 20.millis(),
            "in fact it is next but one: {longest:?}"
        );
    });
}

#[test]
fn classes_share_as_their_weights_say() {
    let log = Log::default();
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let pipeline = needy(signing(&log));
        let three = Priority::weighing(NonZeroU16::new(3).unwrap());
        let runs = (0..400).map(|n| {
            let priority = if n % 2 == 0 { three } else { Priority::LOW };
            engine.run(&pipeline, n % 2, RunOptions::new().priority(priority))
        });
        join_all(runs).await;
    });
    let first: Vec<_> = log.lines().into_iter().take(200).collect();
    let low = first.iter().filter(|line| *line == "1").count();
    assert!((49..=51).contains(&low), "a quarter of 200: {low}");
}

#[test]
fn within_a_class_the_first_is_first() {
    let log = Log::default();
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let pipeline = needy(signing(&log));
        let runs = (0..50).map(|n| engine.run(&pipeline, n, RunOptions::new()));
        join_all(runs).await;
    });
    let in_order: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(log.lines(), in_order);
}

#[test]
fn who_needs_much_is_not_passed_for_ever_by_those_who_need_little() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(4)).build();
        let little = needy(busy(&Ledger::default(), 1, 10));
        let mut p = Pipeline::builder("much");
        let n = p.input::<u64>();
        let a = p
            .stage("a", busy(&Ledger::default(), 4, 10))
            .pool("gpu", units(4))
            .after(n);
        let much = p.output(a).build().unwrap();
        // Every 5 ms one that takes 10: without a line there would never be four units at once.
        let flood = join_all((0..100_u32).map(|n| {
            let (engine, little) = (&engine, &little);
            async move {
                tokio::time::sleep(n * 5.millis()).await;
                engine
                    .run(little, 1, RunOptions::new().priority(Priority::HIGH))
                    .await
            }
        }));
        let wide = async {
            tokio::time::sleep(12.millis()).await;
            engine
                .run(&much, 1, RunOptions::new().priority(Priority::LOW))
                .await
        };
        let (_, report) = futures_util::join!(flood, wide);
        let waited = report.stage("a").unwrap().started().unwrap();
        assert!(
            waited <= 10.millis(),
            "until those before it are done: {waited:?}"
        );
    });
}

#[test]
fn a_flood_in_the_middle_does_not_hold_up_who_has_what_the_high_one_needs() {
    paused(async {
        // The low one has the lock, the high one waits for it, and the middle ones want every slot there is.
        let engine = undisturbed()
            .slots(super::many(2))
            .pool("lock", units(1))
            .build();
        let locked = |millis| {
            let mut p = Pipeline::builder("locked");
            let n = p.input::<u64>();
            let a = p
                .stage("a", busy(&Ledger::default(), 1, millis))
                .pool("lock", units(1))
                .after(n);
            p.output(a).build().unwrap()
        };
        let (low, high) = (locked(30), locked(1));
        let mut p = Pipeline::builder("middle");
        let n = p.input::<u64>();
        let a = p.stage("a", busy(&Ledger::default(), 1, 10)).after(n);
        let middle = p.output(a).build().unwrap();
        let low = engine.run(&low, 1, RunOptions::new().priority(Priority::LOW));
        let flood = join_all((0..100).map(|n| engine.run(&middle, n, RunOptions::new())));
        let urgent = async {
            tokio::time::sleep(5.millis()).await;
            engine
                .run(&high, 1, RunOptions::new().priority(Priority::HIGH))
                .await
        };
        let (_, _, report) = futures_util::join!(low, flood, urgent);
        let waited = report.stage("a").unwrap().started().unwrap();
        // What is left of the one critical section, and at most one turn for a slot.
        assert!(waited <= 35.millis(), "{waited:?}");
    });
}
