//! Rates, tokens and cost: what is let in, and when to come back.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use stageflow_context::{Amounts, Budget, BudgetLimits, Cost};
use stageflow_interceptors::RefusalKind;
use stageflow_tenancy::{Quota, QuotaDimension, TenantErrorKind, Tenants, Tier};
use stageflow_testkit::{Property, paused};
use tokio::time::advance;

use crate::support::{Asking, ask, org, per_second, size, tokens};

fn with(quota: Quota) -> Tenants {
    let tier = Tier::new("pro").quota(quota);
    Tenants::builder()
        .tier(tier)
        .tenant(org(0), "pro")
        .build()
        .unwrap()
}

#[test]
fn a_run_that_comes_too_fast_is_told_when_to_come_back() {
    paused(async {
        let tenants = with(
            Quota::new()
                .runs_per_second(per_second(2))
                .burst(per_second(1)),
        );
        drop(ask(&tenants, org(0)).pass());
        let said = ask(&tenants, org(0));
        assert_eq!(said.refusal().kind(), RefusalKind::Busy);
        assert_eq!(said.refusal().code(), "SF0656");
        assert_eq!(
            said.refusal().retry_after(),
            Some(Duration::from_millis(500))
        );
        let error = said.quota();
        assert_eq!(error.dimension(), QuotaDimension::RunsPerSecond);
        assert_eq!((error.org(), error.limit()), (org(0), 2));
        let notice = &said.notices[0];
        assert_eq!(&**notice.name(), "tenant.refused");
        let told = json!({
            "org": org(0), "dimension": "runs_per_second", "limit": 2, "used": 2, "retry_after_ms": 500, "code": "SF0656",
        });
        assert_eq!(notice.payload(), &told);
        advance(Duration::from_millis(499)).await;
        assert!(ask(&tenants, org(0)).answer.is_err());
        advance(Duration::from_millis(1)).await;
        drop(ask(&tenants, org(0)).pass());
    });
}

/// What comes, after how many milliseconds.
fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![Just(0), 0_u64..30, 100_u64..400], 1..60)
}

#[test]
fn a_rate_lets_in_what_a_bucket_of_tokens_would() {
    let cases = (1_u32..20, 1_u32..10, arrivals());
    Property::new("GCRA is a leaky bucket").holds_for(&cases, |(rate, burst, pauses)| {
        paused(async {
            let tenants = with(
                Quota::new()
                    .runs_per_second(per_second(rate))
                    .burst(per_second(burst)),
            );
            // A bucket in nanoseconds of credit: each run takes one distance of it.
            let distance = 1_000_000_000 / u64::from(rate);
            let most = distance * u64::from(burst);
            let mut credit = most;
            for pause in pauses {
                advance(Duration::from_millis(pause)).await;
                credit = most.min(credit + pause * 1_000_000);
                let expected = credit >= distance;
                if expected {
                    credit -= distance;
                }
                let said = ask(&tenants, org(0));
                prop_assert_eq!(said.answer.is_ok(), expected);
                if let Err(refusal) = &said.answer {
                    let wait = Duration::from_nanos(distance - credit);
                    prop_assert_eq!(refusal.retry_after(), Some(wait));
                }
            }
            Ok(())
        })
    });
}

#[test]
fn tokens_are_given_again_in_the_next_window() {
    paused(async {
        let hour = Duration::from_secs(3600);
        let tenants = with(Quota::new().tokens(tokens(100)).every(hour));
        let said = ask(&tenants, org(0));
        let budget = said
            .budget
            .clone()
            .expect("a run without a budget is given its tenant's");
        let pass = said.pass();
        budget
            .reserve(Amounts::tokens(60))
            .unwrap()
            .settle(Amounts::tokens(60));
        assert!(budget.reserve(Amounts::tokens(41)).is_err());
        drop(ask(&tenants, org(0)).pass());
        budget
            .reserve(Amounts::tokens(40))
            .unwrap()
            .settle(Amounts::tokens(40));
        advance(hour / 4).await;
        let said = ask(&tenants, org(0));
        let error = said.quota();
        assert_eq!(error.code(), "SF0658");
        assert_eq!(
            (error.dimension(), error.limit(), error.used()),
            (QuotaDimension::Tokens, 100, 100)
        );
        assert_eq!(error.retry_after(), Some(hour * 3 / 4));
        advance(hour * 3 / 4).await;
        drop(ask(&tenants, org(0)).pass());
        // The run that has begun before spends from the same window as all others.
        assert_eq!(budget.left().tokens, Some(100));
        drop(pass);
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 100);
    });
}

#[test]
fn a_window_that_nobody_used_gives_nothing_more() {
    paused(async {
        let hour = Duration::from_secs(3600);
        let tenants = with(Quota::new().cost(Cost::from_cents(50)).every(hour));
        let said = ask(&tenants, org(0));
        let budget = said.budget.clone().unwrap();
        budget.spend(Amounts::cost(Cost::from_cents(20)));
        advance(hour * 5 + hour / 2).await;
        let said = ask(&tenants, org(0));
        assert!(said.answer.is_ok());
        assert_eq!(budget.left().cost, Some(Cost::from_cents(50)));
        budget.spend(Amounts::cost(Cost::from_cents(70))); // more than there was: it is booked all the same
        assert_eq!(ask(&tenants, org(0)).quota().retry_after(), Some(hour / 2));
        advance(hour / 2).await;
        drop(ask(&tenants, org(0)).pass());
        assert_eq!(budget.left().cost, Some(Cost::from_cents(50)));
        assert_eq!(
            tenants.usage(org(0)).unwrap().spent.cost,
            Cost::from_cents(90)
        );
    });
}

#[test]
fn a_budget_of_another_tree_is_refused_and_one_below_the_tenants_is_not() {
    paused(async {
        let tenants = with(Quota::new().tokens(tokens(100)));
        let limits = BudgetLimits::new().tokens(10);
        let spending = |budget| {
            Asking::spending(&tenants, org(0), Some(budget))
                .poll()
                .unwrap()
        };
        let said = spending(Budget::new("mine", limits));
        assert_eq!(said.tenant().kind(), TenantErrorKind::ForeignBudget);
        assert_eq!(
            (said.refusal().kind(), said.refusal().code()),
            (RefusalKind::Forbidden, "SF0659")
        );
        let mine = tenants
            .budget(org(0))
            .unwrap()
            .child("mine", limits)
            .unwrap();
        let said = spending(mine.clone());
        let kept = said.budget.clone().unwrap();
        assert_eq!(kept.name(), mine.name());
        kept.spend(Amounts::tokens(7));
        drop(said.pass());
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 7);
        assert_eq!(tenants.usage(org(0)).unwrap().refused["foreign_budget"], 1);
    });
}

#[test]
fn what_was_spent_is_known_after_a_move_and_the_new_tier_counts_from_nothing() {
    paused(async {
        let small = Tier::new("small").quota(Quota::new().tokens(tokens(10)));
        let large = Tier::new("large").quota(Quota::new().tokens(tokens(50)));
        let builder = Tenants::builder().tier(small).tier(large);
        let tenants = builder.tenant(org(0), "small").build().unwrap();
        let before = ask(&tenants, org(0)).budget.unwrap();
        before.spend(Amounts::tokens(10));
        assert!(ask(&tenants, org(0)).answer.is_err());
        tenants.move_to_tier(org(0), "large").unwrap();
        let after = ask(&tenants, org(0)).budget.unwrap();
        assert_eq!(after.left().tokens, Some(50));
        after.spend(Amounts::tokens(5));
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 15);
    });
}

#[test]
fn without_a_queue_there_is_room_or_none() {
    paused(async {
        let tenants = with(Quota::new().runs(size(2)).no_queue());
        let first = ask(&tenants, org(0)).pass();
        let second = ask(&tenants, org(0)).pass();
        let error = ask(&tenants, org(0)).quota();
        assert_eq!(
            (error.dimension(), error.limit(), error.used()),
            (QuotaDimension::Runs, 2, 2)
        );
        // As long as nobody has left, it is a guess.
        assert_eq!(error.retry_after(), Some(Duration::from_millis(500)));
        advance(Duration::from_secs(8)).await;
        drop(first);
        drop(ask(&tenants, org(0)).pass());
        drop(second);
    });
}
