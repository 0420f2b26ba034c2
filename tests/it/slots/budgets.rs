//! A stage that waits for room in a budget holds nothing meanwhile.

use std::sync::Arc;

use futures_util::future::join;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};
use tokio::time::sleep;

use super::{level, units};
use crate::budget::{paid_by, tokens};
use crate::support::{placed, undisturbed};

/// A pipeline of one stage that needs the only unit there is.
fn needy(
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
    placement: Placement,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("needy");
    let n = p.input::<u64>();
    let a = placed(p.stage("a", stage).pool("gpu", units(1)), placement).after(n);
    p.output(a).build().unwrap()
}

fn engine() -> Engine {
    undisturbed().pool("gpu", units(1)).build()
}

/// A budget without anything left, whose readers wait.
fn used_up() -> Budget {
    Budget::new("patient", tokens(0).on_exceed(OnExceed::Suspend))
}

/// Sets aside what the budget has, and says how much of the pool was in use then.
fn saves(engine: &Engine) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let engine = engine.clone();
    stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let engine = engine.clone();
        async move {
            let set_aside = cx.reserve(Amounts::tokens(10)).await?;
            let (in_use, _) = level(&engine, "gpu");
            sleep(1.millis()).await;
            set_aside.settle(Amounts::ZERO);
            Ok::<_, Stop>(in_use)
        }
    })
}

/// Takes a second, and then there is room.
fn makes_room(budget: &Budget) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let budget = budget.clone();
    stage_fn(move |_: StageCx, n: Arc<u64>| {
        let budget = budget.clone();
        async move {
            sleep(1.secs()).await;
            budget.raise(Amounts::tokens(10));
            sleep(1.secs()).await;
            Ok::<_, Stop>(*n)
        }
    })
}

#[test]
fn who_waits_for_a_budget_lets_another_run_have_the_unit_and_takes_it_back() {
    for placement in [Placement::Inline, Placement::Spawn] {
        paused(async {
            let (engine, budget) = (engine(), used_up());
            let saver = needy(saves(&engine), placement);
            let other = needy(makes_room(&budget), placement);
            let saving = engine.run(&saver, 1, paid_by(&budget).deadline(60.secs()));
            let (saved, made) = join(saving, engine.run(&other, 2, RunOptions::new())).await;
            assert_eq!(saved.output().unwrap(), &1, "it has its unit again");
            assert_eq!(made.output().unwrap(), &2);
            assert_eq!(saved.duration(), 2001.millis(), "once the other is done");
            assert!(engine.slots().is_idle());
            assert_eq!((budget.waiting(), budget.reserved()), (0, Amounts::ZERO));
        });
    }
}

#[test]
fn so_does_an_item_of_a_map() {
    paused(async {
        let (engine, budget) = (engine(), used_up());
        let mut p = Pipeline::builder("map");
        let n = p.input::<Vec<Arc<u64>>>();
        let all = p.stage("a", map(saves(&engine))).pool("gpu", units(1));
        let all = all.after(n);
        let saver = p.output(all).build().unwrap();
        let other = needy(makes_room(&budget), Placement::Inline);
        let input = vec![Arc::new(1), Arc::new(2)];
        let saving = engine.run(&saver, input, paid_by(&budget).deadline(60.secs()));
        let (saved, made) = join(saving, engine.run(&other, 2, RunOptions::new())).await;
        let saved: Vec<u64> = saved.output().unwrap().iter().map(|n| **n).collect();
        assert_eq!((saved, *made.output().unwrap()), (vec![1, 1], 2));
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn an_attempt_that_the_engine_does_not_let_in_yet_holds_nothing_either() {
    for placement in [Placement::Inline, Placement::Spawn] {
        paused(async {
            let engine = engine();
            let limits = BudgetLimits::new().steps(0).on_exceed(OnExceed::Suspend);
            let budget = Budget::new("steps", limits);
            let waits = needy(script::ok(1_u64).taking(1.millis()), placement);
            let raise = budget.clone();
            let other = stage_fn(move |_: StageCx, n: Arc<u64>| {
                let raise = raise.clone();
                async move {
                    sleep(1.secs()).await;
                    raise.raise(Amounts::steps(1));
                    Ok::<_, Stop>(*n)
                }
            });
            let other = needy(other, placement);
            let waiting = engine.run(&waits, 1, paid_by(&budget).deadline(60.secs()));
            let (waited, other) = join(waiting, engine.run(&other, 2, RunOptions::new())).await;
            assert!(other.is_success());
            assert_eq!(waited.output().unwrap(), &1);
            assert_eq!(waited.duration(), 1001.millis());
            assert!(engine.slots().is_idle());
        });
    }
}

#[test]
fn who_waits_for_a_budget_and_is_stopped_does_not_wait_for_its_unit() {
    paused(async {
        let (engine, budget) = (engine(), used_up());
        let waits = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            drop(cx.reserve(Amounts::tokens(10)).await?);
            Ok::<_, Stop>(*n)
        });
        let mut p = Pipeline::builder("patient");
        let n = p.input::<u64>();
        let a = p.stage("a", waits).pool("gpu", units(1)).grace(30.secs());
        let a = a.after(n);
        let waits = p.output(a).build().unwrap();
        let long = needy(script::ok(2_u64).taking(60.secs()), Placement::Inline);
        let run = engine.run(&waits, 1, paid_by(&budget));
        let handle = run.handle();
        let rest = async {
            let other = engine.run(&long, 2, RunOptions::new());
            let stop = async {
                sleep(1.secs()).await;
                handle.cancel("enough");
            };
            join(other, stop).await.0
        };
        let (stopped, other) = join(run, rest).await;
        assert_eq!(stopped.outcome(), Outcome::Cancelled);
        assert_eq!(stopped.duration(), 1.secs());
        assert!(other.is_success());
        assert!(engine.slots().is_idle());
        assert_eq!(budget.waiting(), 0);
    });
}

#[test]
fn what_fits_at_once_lends_nothing() {
    paused(async {
        let engine = engine();
        let budget = Budget::new("ample", tokens(100).on_exceed(OnExceed::Suspend));
        let asks = engine.clone();
        let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
            let asks = asks.clone();
            async move {
                let before = level(&asks, "gpu");
                drop(cx.reserve(Amounts::tokens(10)).await?);
                let after = level(&asks, "gpu");
                Ok::<_, Stop>(u64::from(before == after) * after.0)
            }
        });
        let pipeline = needy(stage, Placement::Inline);
        // Somebody stands in line for the unit, and does not get it in between.
        let first = engine.run(&pipeline, 1, paid_by(&budget));
        let second = engine.run(&pipeline, 2, paid_by(&budget));
        let (first, second) = join(first, second).await;
        assert_eq!(
            (first.output().unwrap(), second.output().unwrap()),
            (&1, &1)
        );
    });
}
