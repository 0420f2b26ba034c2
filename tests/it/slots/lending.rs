//! Waiting holds nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join, join_all};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};
use tokio::time::Instant;

use super::{Ledger, busy, level, many, units};
use crate::support::{Log, undisturbed};

fn needy(stage: impl Stage<Input = Arc<u64>, Output = u64>) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("needy");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).pool("gpu", units(1)).after(n);
    p.output(a).build().unwrap()
}

/// A stage that runs the pipeline it is in, one step further down, and lends what it has meanwhile.
fn descend(engine: Engine, ledger: Ledger) -> Pipeline<u64, u64> {
    needy(stage_fn(move |cx: StageCx, depth: Arc<u64>| {
        let (engine, ledger) = (engine.clone(), ledger.clone());
        let work: BoxFuture<'static, Result<u64, Stop>> = Box::pin(async move {
            let taken = ledger.take(1);
            tokio::time::sleep(1.millis()).await;
            drop(taken);
            if *depth == 0 {
                return Ok(0);
            }
            let below = descend(engine.clone(), ledger.clone());
            let run = engine.run(&below, *depth - 1, RunOptions::new());
            let below = *cx.lend(run).await.output()?;
            let _taken = ledger.take(1);
            tokio::time::sleep(1.millis()).await;
            Ok(below + 1)
        });
        work
    }))
}

#[test]
fn parents_that_wait_for_children_in_a_pool_of_one() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).slots(many(1)).build();
        let ledger = Ledger::default();
        let pipeline = descend(engine.clone(), ledger.clone());
        let runs = (0..10).map(|_| engine.run(&pipeline, 3, RunOptions::new()));
        for report in join_all(runs).await {
            assert_eq!(report.output().unwrap(), &3);
        }
        assert_eq!(ledger.peak(), 1, "never more than one of them is at work");
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn two_that_want_the_same_two_in_different_order_do_not_meet() {
    paused(async {
        let engine = undisturbed()
            .pool("a", units(1))
            .pool("b", units(1))
            .build();
        let pipeline = |first, second| {
            let mut p = Pipeline::builder("p");
            let n = p.input::<u64>();
            let s = p.stage("s", script::ok(1_u64).taking(10.millis()));
            let s = s.pool(first, units(1)).pool(second, units(1)).after(n);
            p.output(s).build().unwrap()
        };
        let (ab, ba) = (pipeline("a", "b"), pipeline("b", "a"));
        let runs =
            (0..10).map(|n| engine.run(if n % 2 == 0 { &ab } else { &ba }, n, RunOptions::new()));
        let started = Instant::now();
        assert!(join_all(runs).await.iter().all(RunReport::is_success));
        assert_eq!(started.elapsed(), 100.millis());
    });
}

#[test]
fn what_is_lent_is_used_by_others_and_taken_back_before_those_that_come_new() {
    let log = Log::default();
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let lender = {
            let log = log.clone();
            needy(stage_fn(move |cx: StageCx, n: Arc<u64>| {
                let log = log.clone();
                async move {
                    cx.lend(tokio::time::sleep(10.millis())).await;
                    log.write("back");
                    tokio::time::sleep(1.millis()).await;
                    Ok::<_, Stop>(*n)
                }
            }))
        };
        let other = {
            let log = log.clone();
            needy(stage_fn(move |_cx: StageCx, n: Arc<u64>| {
                let log = log.clone();
                async move {
                    log.write(format!("other {n}"));
                    tokio::time::sleep(15.millis()).await;
                    Ok::<_, Stop>(*n)
                }
            }))
        };
        let others = join_all((0..3).map(|n| engine.run(&other, n, RunOptions::new())));
        let (report, _) = join(engine.run(&lender, 1, RunOptions::new()), others).await;
        // 10 ms of waiting, 5 more until the first of the others is done, 1 of work.
        assert_eq!(report.duration(), 16.millis());
        assert!(engine.slots().is_idle());
    });
    assert_eq!(log.lines(), ["other 0", "back", "other 1", "other 2"]);
}

#[test]
fn a_stage_that_holds_nothing_only_awaits() {
    paused(async {
        let engine = Engine::new();
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p.stage(
            "a",
            stage_fn(async |cx: StageCx, n: Arc<u64>| {
                cx.lend(tokio::time::sleep(5.millis())).await;
                Ok(cx.lend(async { *n + 1 }).await)
            }),
        );
        let a = a.after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &2);
    });
}

#[test]
fn its_timeout_goes_on_while_it_comes_back_and_leaves_nothing_in_the_line() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let lend = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.lend(tokio::time::sleep(10.millis())).await;
            Ok(*n)
        });
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p
            .stage("a", lend)
            .pool("gpu", units(1))
            .timeout(20.millis())
            .after(n);
        let lender = p.output(a).build().unwrap();
        let other = needy(busy(&Ledger::default(), 1, 100));
        let (report, _) = join(
            engine.run(&lender, 1, RunOptions::new()),
            engine.run(&other, 1, RunOptions::new()),
        )
        .await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(report.duration(), 20.millis());
        assert!(engine.slots().is_idle());
    });
}

/// A stage that gives up its wait after 5 ms, and then works until the gate opens.
fn impatient(gate: &Gate) -> Pipeline<u64, u64> {
    let gate = gate.clone();
    needy(stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let gate = gate.clone();
        async move {
            let wait = cx.lend(std::future::pending::<()>());
            assert!(
                tokio::time::timeout(Duration::from_millis(5), wait)
                    .await
                    .is_err()
            );
            gate.passed().await;
            cx.lend(std::future::ready(())).await;
            gate.passed().await;
            Ok::<_, Stop>(*n)
        }
    }))
}

#[test]
fn a_wait_that_is_given_up_takes_back_what_is_free() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let gate = Gate::new();
        let pipeline = impatient(&gate);
        let look = async {
            gate.crowd(1).await;
            assert_eq!(level(&engine, "gpu"), (1, 0), "it has them again");
            gate.open();
        };
        let (report, ()) = join(engine.run(&pipeline, 1, RunOptions::new()), look).await;
        assert!(report.is_success() && engine.slots().is_idle());
    });
}

#[test]
fn a_wait_that_is_given_up_cannot_take_what_another_has_but_the_next_one_does() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let (gate, ledger) = (Gate::new(), Ledger::default());
        let pipeline = impatient(&gate);
        let other = needy(busy(&ledger, 1, 20));
        let look = async {
            gate.crowd(1).await;
            assert_eq!(
                (level(&engine, "gpu"), ledger.now()),
                ((1, 0), 1),
                "the other one has it"
            );
            gate.let_through(1);
            tokio::time::sleep(1.millis()).await;
            assert_eq!(
                (level(&engine, "gpu"), ledger.now()),
                ((1, 1), 1),
                "it waits for it"
            );
            gate.crowd(1).await;
            assert_eq!(
                (level(&engine, "gpu"), ledger.now()),
                ((1, 0), 0),
                "and has it"
            );
            gate.open();
        };
        let (report, _, ()) = futures_util::join!(
            engine.run(&pipeline, 1, RunOptions::new()),
            engine.run(&other, 1, RunOptions::new()),
            look
        );
        assert!(report.is_success() && engine.slots().is_idle());
    });
}
