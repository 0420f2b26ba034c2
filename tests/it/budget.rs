//! Budgets of runs: reserved before spent, counted by the engine, and what happens when they are used up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use expect_test::expect;
use stageflow::context::{BudgetErrorKind, CancelReason, Dimension};
use stageflow::events::EventKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{on_each_runtime, paused, script};
use tokio::time::sleep;

use crate::attempts::Again;
use crate::support::{Lab, PLACEMENTS, PassOn, eventually, outcomes, placed, watched};

pub(crate) fn tokens(most: u64) -> BudgetLimits {
    BudgetLimits::new().tokens(most)
}

pub(crate) fn paid_by(budget: &Budget) -> RunOptions {
    RunOptions::new().budget(budget.clone())
}

/// What the events say of budgets.
pub(crate) fn told(lab: &Lab) -> Vec<String> {
    let all = lab.sink.all();
    let notices = all.iter().filter_map(|told| match told.event.kind() {
        kind @ EventKind::Budget(notice) => Some(format!(
            "{}: {}, {}",
            kind.name(),
            notice.kind.as_str(),
            notice.line
        )),
        _ => None,
    });
    notices.collect()
}

/// `stages` stages that have nothing to do with each other.
fn beside_each_other<S: Stage<Input = Arc<u64>, Output = u64>>(
    stages: usize,
    stage: impl Fn(usize) -> S,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("beside");
    let n = p.input::<u64>();
    let all: Vec<_> = (0..stages)
        .map(|at| p.stage(format!("s{at}"), stage(at)).spawn().after(n))
        .collect();
    let sum = async |_: StageCx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
    let sum = p.stage("sum", stage_fn(sum)).after(all);
    p.output(sum).build().unwrap()
}

/// A chain of stages that take a second each.
fn chain(lab: &Lab, stages: usize, placement: Placement) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("chain");
    let first = p.input::<u64>();
    let last = (0..stages).fold(first, |up, at| {
        let second = watched(&lab.probe, async |_: StageCx, n: Arc<u64>| {
            sleep(1.secs()).await;
            Ok(*n + 1)
        });
        placed(p.stage(format!("s{at}"), second), placement).after(up)
    });
    p.output(last).build().unwrap()
}

#[test]
fn stages_at_work_at_the_same_time_never_overshoot() {
    on_each_runtime(async |_| {
        let lab = Lab::new();
        let org = Budget::new("org", tokens(1_000));
        let user = org.child("user", tokens(700)).unwrap();
        // Kept beside the budget, by those who spend.
        let (out, most, spent) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let books = Arc::new((out, most, spent));
        let kept = Arc::clone(&books);
        let pipeline = beside_each_other(100, move |at| {
            let books = Arc::clone(&kept);
            stage_fn(move |cx: StageCx, _: Arc<u64>| {
                let books = Arc::clone(&books);
                async move {
                    let (out, most, spent) = &*books;
                    let want = 10 + at as u64;
                    let Some(budget) = cx.budget() else {
                        return Err(Stop::fail("no budget"));
                    };
                    let Ok(held) = budget.reserve(Amounts::tokens(want)) else {
                        return Ok(0);
                    };
                    most.fetch_max(
                        out.fetch_add(want, Ordering::SeqCst) + want,
                        Ordering::SeqCst,
                    );
                    tokio::task::yield_now().await;
                    // Half of it comes to nothing, and what is not used goes back.
                    let used = if at % 2 == 0 { want / 2 } else { 0 };
                    out.fetch_sub(want - used, Ordering::SeqCst);
                    spent.fetch_add(used, Ordering::SeqCst);
                    assert_eq!(held.settle(Amounts::tokens(used)).overrun(), None);
                    Ok(used)
                }
            })
        });
        let runs = (0..4).map(|_| lab.engine.run(&pipeline, 0, paid_by(&user)));
        let reports = futures_util::future::join_all(runs).await;
        let (_, most, spent) = &*books;
        let sum: u64 = reports.iter().map(|report| *report.output().unwrap()).sum();
        assert_eq!(sum, spent.load(Ordering::SeqCst));
        assert!(sum > 0, "some of it was spent");
        assert!(most.load(Ordering::SeqCst) <= 700);
        for level in [&org, &user] {
            assert_eq!(
                (level.spent().tokens, level.reserved()),
                (sum, Amounts::ZERO)
            );
        }
        for report in &reports {
            let budget = report.budget().unwrap();
            assert_eq!(budget.spent().tokens, *report.output().unwrap());
        }
        assert_eq!(user.left().tokens, Some(700 - sum));
    });
}

#[test]
fn what_does_not_fit_fails_the_stage_for_good_and_says_where_and_by_how_much() {
    paused(async {
        let lab = Lab::new();
        let org = Budget::new("acme", tokens(1_000));
        let run = org.child("answer", BudgetLimits::new()).unwrap();
        let before = org.reserve(Amounts::tokens(700)).unwrap();
        let pipeline = beside_each_other(1, |_| {
            stage_fn(async |cx: StageCx, _: Arc<u64>| {
                let held = cx.reserve(Amounts::tokens(500)).await?;
                Ok(held.amounts().tokens)
            })
        });
        let report = lab.engine.run(&pipeline, 0, paid_by(&run)).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        let error = &report.errors()[0];
        assert_eq!(error.class(), ErrorClass::Permanent);
        expect!["SF0301: stage `s0` failed: SF0217: budget `acme`: 500 tokens asked for, but 700 tokens of 1000 tokens are used; raise the limit with `budget.raise(..)`, ask for less, or wait with `OnExceed::Suspend`; fix the cause, or make the stage `.optional()`"]
            .assert_eq(&error.to_string());
        assert_eq!(
            told(&lab),
            [
                "budget.exceeded: exceeded, budget `acme`: 500 tokens asked for, 700 tokens of 1000 tokens used"
            ]
        );
        drop(before);
        let report = lab.engine.run(&pipeline, 0, paid_by(&run)).await;
        assert_eq!(report.output().unwrap(), &500);
        assert_eq!(
            org.spent(),
            Amounts::ZERO,
            "what was not settled was not used"
        );
        // In a run without a budget there is room for anything.
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert!(report.is_success() && report.budget().is_none());
    });
}

#[test]
fn what_does_not_fit_waits_for_room_if_the_budget_says_so() {
    paused(async {
        let lab = Lab::new();
        let budget = Budget::new("patient", tokens(100).on_exceed(OnExceed::Suspend));
        let pipeline = beside_each_other(3, |_| {
            stage_fn(async |cx: StageCx, _: Arc<u64>| {
                let held = cx.reserve(Amounts::tokens(60)).await?;
                sleep(10.secs()).await;
                held.settle(Amounts::tokens(50));
                Ok(50)
            })
        });
        let someone = async {
            sleep(5.secs()).await;
            assert_eq!((budget.waiting(), budget.reserved().tokens), (2, 60));
            // The first has ended, and 50 are left: not enough for another.
            sleep(10.secs()).await;
            assert_eq!((budget.waiting(), budget.reserved().tokens), (2, 0));
            budget.raise(Amounts::tokens(10));
            sleep(5.secs()).await;
            assert_eq!((budget.waiting(), budget.reserved().tokens), (1, 60));
            budget.raise(Amounts::tokens(1_000));
            sleep(1.secs()).await;
            assert_eq!((budget.waiting(), budget.reserved().tokens), (0, 120));
        };
        let run = lab.engine.run(&pipeline, 0, paid_by(&budget));
        let (report, ()) = tokio::join!(run, someone);
        assert_eq!(report.output().unwrap(), &150);
        assert_eq!(report.duration(), 30.secs());
        assert_eq!(
            told(&lab)[0],
            "budget.exceeded: suspended, budget `patient`: 60 tokens asked for, 60 tokens of 100 tokens used"
        );
    });
}

#[test]
fn work_that_waits_for_room_ends_with_its_run() {
    paused(async {
        let lab = Lab::new();
        let budget = Budget::new("patient", tokens(0).on_exceed(OnExceed::Suspend));
        for placement in PLACEMENTS {
            let mut p = Pipeline::builder("waiting");
            let n = p.input::<u64>();
            let wait = watched(&lab.probe, async |cx: StageCx, _: Arc<u64>| {
                drop(cx.reserve(Amounts::tokens(1)).await?);
                Ok(())
            });
            let wait = placed(p.stage("wait", wait), placement).after(n);
            let pipeline = p.output(wait).build().unwrap();
            let run = lab.engine.run(&pipeline, 0, paid_by(&budget));
            let handle = run.handle();
            let budget = &budget;
            let someone = async move {
                eventually("it waits", || budget.waiting() == 1).await;
                handle.cancel("enough");
            };
            let (report, ()) = tokio::join!(run, someone);
            assert_eq!(report.outcome(), Outcome::Cancelled);
            assert_eq!((budget.waiting(), budget.reserved()), (0, Amounts::ZERO));
        }
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_step_is_an_attempt_and_when_there_is_none_left_the_run_stops() {
    for (placement, waits) in PLACEMENTS.into_iter().zip([false, true, false]) {
        let runtime =
            stageflow_testkit::TestRuntime::running(stageflow_testkit::Flavour::MultiThread);
        runtime.block_on(async {
            let lab = Lab::with(|builder| if waits { builder.intercept(PassOn) } else { builder });
            let budget = Budget::new("steps", BudgetLimits::new().steps(3));
            let mut p = Pipeline::builder("chain");
            let first = p.input::<u64>();
            let last = (0..5).fold(first, |up, at| {
                let next = watched(&lab.probe, async |_: StageCx, n: Arc<u64>| Ok(*n + 1));
                placed(p.stage(format!("s{at}"), next), placement).after(up)
            });
            let pipeline = p.output(last).build().unwrap();
            let report = lab.engine.run(&pipeline, 0, paid_by(&budget)).await;
            assert_eq!(report.outcome(), Outcome::Cancelled);
            assert_eq!(
                outcomes(&report)[..4],
                ["s0 succeeded", "s1 succeeded", "s2 succeeded", "s3 cancelled"]
            );
            assert_eq!(lab.probe.calls(), 3, "{placement:?}: nothing more was started");
            assert_eq!(report.stage("s3").unwrap().attempts(), 0);
            assert_eq!(report.value_of("s2").unwrap().downcast().as_deref(), Some(&3_u64));
            let Some(CancelReason::BudgetExhausted(error)) = report.cancel_reason() else {
                panic!("{:?}", report.cancel_reason());
            };
            assert_eq!(error.kind(), BudgetErrorKind::Exceeded);
            assert_eq!(error.line().dimension, Dimension::Steps);
            expect!["SF0402: pipeline `chain` was stopped: it has used up its budget: SF0217: budget `steps`: 1 steps asked for, but 3 steps of 3 steps are used; raise the limit with `budget.raise(..)`, ask for less, or wait with `OnExceed::Suspend`; take what was finished from the report"]
                .assert_eq(&report.output().unwrap_err().to_string());
            assert_eq!(budget.spent(), Amounts::steps(3));
            assert_eq!(told(&lab).len(), 2, "80 % of three steps are three; then none is left");
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn further_attempts_are_steps_too() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Again(5)));
        let budget = Budget::new("steps", BudgetLimits::new().steps(10));
        let pipeline = beside_each_other(1, |_| script::flaky::<Arc<u64>, u64>(2, 7));
        let report = lab.engine.run(&pipeline, 0, paid_by(&budget)).await;
        assert_eq!(report.output().unwrap(), &7);
        assert_eq!(report.budget().unwrap().spent(), Amounts::steps(4));
        // One that is refused its step stops the run, and is not tried again.
        let budget = Budget::new("steps", BudgetLimits::new().steps(2));
        let pipeline = beside_each_other(1, |_| script::flaky::<Arc<u64>, u64>(4, 7));
        let report = lab.engine.run(&pipeline, 0, paid_by(&budget)).await;
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(report.stage("s0").unwrap().attempts(), 2);
    });
}

#[test]
fn a_run_waits_for_steps_if_the_budget_says_so() {
    paused(async {
        let lab = Lab::new();
        let limits = BudgetLimits::new().steps(2).on_exceed(OnExceed::Suspend);
        let budget = Budget::new("steps", limits);
        let pipeline = chain(&lab, 4, Placement::Inline);
        let someone = async {
            sleep(60.mins()).await;
            assert_eq!((budget.waiting(), lab.probe.calls()), (1, 2));
            budget.raise(Amounts::steps(5));
        };
        let run = lab.engine.run(&pipeline, 0, paid_by(&budget));
        let (report, ()) = tokio::join!(run, someone);
        assert_eq!(report.output().unwrap(), &4);
        assert_eq!(report.duration(), 60.mins() + 2.secs());
        assert_eq!(budget.spent(), Amounts::steps(4));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn the_time_of_attempts_adds_up_and_the_last_one_may_go_beyond() {
    paused(async {
        let lab = Lab::new();
        let budget = Budget::new("time", BudgetLimits::new().time(2_500.millis()));
        let pipeline = chain(&lab, 5, Placement::Inline);
        let report = lab.engine.run(&pipeline, 0, paid_by(&budget)).await;
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(lab.probe.calls(), 3, "the third began with time left");
        assert_eq!(budget.spent().time, 3.secs());
        assert_eq!(budget.overrun().time, 500.millis());
        assert!(told(&lab)[1].starts_with("budget.exceeded: overrun, budget `time`: "));
        // Of an attempt that is stopped, the time until then.
        let budget = Budget::new("time", BudgetLimits::new().time(100.secs()));
        let options = paid_by(&budget).deadline(1_500.millis());
        let report = lab.engine.run(&pipeline, 0, options).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(
            budget.spent(),
            Amounts::steps(2) + Amounts::time(1_500.millis())
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn limits_hold_for_stages_that_are_counted_and_not_while_they_wait_to_be() {
    paused(async {
        let lab = Lab::new();
        let limits = BudgetLimits::new().steps(0).on_exceed(OnExceed::Suspend);
        let budget = Budget::new("steps", limits);
        let mut p = Pipeline::builder("slow");
        let n = p.input::<u64>();
        let slow = script::ok::<Arc<u64>, u64>(1).taking(10.secs());
        let slow = p.stage("slow", slow).timeout(2.secs()).after(n);
        let pipeline = p.output(slow).build().unwrap();
        let someone = async {
            sleep(100.secs()).await;
            budget.raise(Amounts::steps(1));
        };
        let run = lab.engine.run(&pipeline, 0, paid_by(&budget));
        let (report, ()) = tokio::join!(run, someone);
        assert_eq!(
            (report.outcome(), report.duration()),
            (Outcome::Failed, 102.secs())
        );
        assert_eq!(report.stage("slow").unwrap().outcome(), Outcome::TimedOut);
        lab.assert_nothing_left().await;
    });
}
