//! The books of budgets: overruns, raises, warnings, and how deep they stand.

use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use stageflow::prelude::*;
use stageflow_testkit::paused;

use crate::budget::{paid_by, tokens, told};
use crate::support::Lab;

#[test]
fn more_than_was_reserved_is_booked_and_blocks_what_comes_after() {
    let budget = Budget::new("strict", tokens(100));
    let held = budget.reserve(Amounts::tokens(60)).unwrap();
    let within = budget.reserve(Amounts::tokens(20)).unwrap();
    assert_eq!(
        within.settle(Amounts::tokens(30)).overrun(),
        None,
        "there was room for it"
    );
    let booked = held.settle(Amounts::tokens(90));
    expect!["SF0218: budget `strict`: 30 tokens spent beyond the reservation, which makes 120 tokens of 100 tokens; it is booked, and nothing more is given out: let stages `reserve` the most that a call can use"]
        .assert_eq(&booked.into_result().unwrap_err().to_string());
    assert_eq!((budget.spent().tokens, budget.overrun().tokens), (120, 20));
    assert_eq!(budget.left().tokens, Some(0));
    assert!(budget.reserve(Amounts::tokens(1)).is_err());
    budget.raise(Amounts::tokens(20));
    assert!(budget.reserve(Amounts::tokens(1)).is_err());
    budget.raise(Amounts::tokens(1));
    let mut held = budget.reserve(Amounts::tokens(1)).unwrap();
    assert!(held.extend(Amounts::tokens(1)).is_err());
    budget.raise(Amounts::tokens(9));
    held.extend(Amounts::tokens(9)).unwrap();
    assert_eq!((held.amounts().tokens, budget.reserved().tokens), (10, 10));
    drop(held);
    assert_eq!(
        (budget.reserved(), budget.left().tokens),
        (Amounts::ZERO, Some(10))
    );
}

#[test]
fn budgets_stand_only_so_deep() {
    let mut budget = Budget::new("root", BudgetLimits::new());
    let error = loop {
        match budget.child("below", BudgetLimits::new()) {
            Ok(child) => budget = child,
            Err(error) => break error,
        }
    };
    expect!["SF0219: budget `below`: 257 budgets stand above it, and no more than 256 may; make it a child of one that stands higher, with `.child(..)`"]
        .assert_eq(&error.to_string());
    let time = Amounts::time(Duration::MAX);
    drop(budget.reserve(time).unwrap());
    assert_eq!(budget.reserved(), Amounts::ZERO);
}

#[test]
fn a_warning_comes_once_for_each_budget_and_dimension() {
    paused(async {
        let lab = Lab::new();
        let org = Budget::new("org", tokens(1_000).cost(Cost::from_cents(100)));
        let run = org.child("run", tokens(100)).unwrap();
        let mut p = Pipeline::builder("spending");
        let n = p.input::<u64>();
        let spend = async |cx: StageCx, _: Arc<u64>| {
            for _ in 0..10 {
                let held = cx.reserve(Amounts::tokens(10) + Amounts::cost(Cost::from_cents(9)));
                held.await?
                    .settle(Amounts::tokens(10) + Amounts::cost(Cost::from_cents(9)));
            }
            Ok(())
        };
        let spend = p.stage("spend", stage_fn(spend)).after(n);
        let pipeline = p.output(spend).build().unwrap();
        assert!(
            lab.engine
                .run(&pipeline, 0, paid_by(&run))
                .await
                .is_success()
        );
        expect![[r#"
            budget.warned: warned, budget `run`: 10 tokens asked for, 80 tokens of 100 tokens used
            budget.warned: warned, budget `org`: a cost of 0.09 asked for, a cost of 0.81 of a cost of 1.00 used"#]]
            .assert_eq(&told(&lab).join("\n"));
        lab.sink.clear();
        run.raise(Amounts::tokens(100));
        org.raise(Amounts::cost(Cost::from_cents(1_000)));
        assert!(
            lab.engine
                .run(&pipeline, 0, paid_by(&run))
                .await
                .is_success()
        );
        assert_eq!(
            told(&lab).len(),
            1,
            "the raised limit is nearly used again: {:?}",
            told(&lab)
        );
    });
}
