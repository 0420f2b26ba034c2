//! Budgets by themselves: overruns, raises, and how deep they stand.

use std::time::Duration;

use expect_test::expect;
use stageflow::prelude::*;

use crate::budget::tokens;

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
