//! What the errors say.

use std::time::Duration;

use stageflow_context::{Budget, BudgetLimits, OrgId, RunId, RunIdentity, SeededIds};
use stageflow_tenancy::{Quota, Tenants, Tier, Unknown};
use stageflow_testkit::paused;
use tokio::time::advance;

use crate::support::{Asking, ask, org, per_second, size, tokens, waits};

fn acme() -> OrgId {
    "org_00000000000070008000000000000001".parse().unwrap()
}

fn with(quota: Quota) -> Tenants {
    let tier = Tier::new("pro").quota(quota);
    Tenants::builder()
        .tier(tier)
        .tenant(acme(), "pro")
        .build()
        .unwrap()
}

#[track_caller]
fn says(tenants: &Tenants, org: impl Into<Option<OrgId>>, text: &str) {
    let said = ask(tenants, org);
    assert_eq!(said.refusal().to_string(), format!("admission ``: {text}"));
    // What the outsider may read names nobody.
    assert!(!said.refusal().public().contains("org_"));
}

#[test]
fn a_refusal_says_who_what_how_much_and_what_to_do() {
    paused(async {
        let tenants = with(
            Quota::new()
                .runs_per_second(per_second(4))
                .burst(per_second(1)),
        );
        drop(ask(&tenants, acme()).pass());
        says(
            &tenants,
            acme(),
            "SF0656: org_00000000000070008000000000000001 comes too fast: it may start 4 runs a second; try again in 250 ms, or move the tenant to a tier with a larger quota",
        );
        let tenants = with(
            Quota::new()
                .runs(size(1))
                .queue(size(1))
                .wait_up_to(Duration::from_secs(3)),
        );
        let inside = ask(&tenants, acme()).pass();
        let mut waiting = waits(&tenants, acme());
        says(
            &tenants,
            acme(),
            "SF0657: org_00000000000070008000000000000001 has no room for another run: 1 of 1 wait already; try again in 2000 ms, or move the tenant to a tier with a larger quota",
        );
        advance(Duration::from_secs(3)).await;
        assert_eq!(
            waiting.poll().unwrap().quota().to_string(),
            "SF0657: org_00000000000070008000000000000001 has no room for another run: this one has waited for 3000 ms of 3000 ms; try again in 1000 ms, or move the tenant to a tier with a larger quota",
        );
        drop(inside);
    });
}

#[test]
fn what_is_spent_is_said_in_its_unit() {
    paused(async {
        let hour = Duration::from_secs(3600);
        let tenants = with(Quota::new().tokens(tokens(10)).every(hour));
        let budget = tenants.budget(acme()).unwrap();
        budget.spend(stageflow_context::Amounts::tokens(12));
        says(
            &tenants,
            acme(),
            "SF0658: org_00000000000070008000000000000001 has used up its 10 tokens (12 spent or set aside); try again in 3600000 ms, or give the tenant a tier with more of it",
        );
        let tenants = with(
            Quota::new()
                .cost(stageflow_context::Cost::from_cents(50))
                .every(hour),
        );
        let budget = tenants.budget(acme()).unwrap();
        budget.spend(stageflow_context::Amounts::cost(
            stageflow_context::Cost::from_cents(50),
        ));
        says(
            &tenants,
            acme(),
            "SF0658: org_00000000000070008000000000000001 has used up its cost of 0.50 (0.50 spent or set aside); try again in 3600000 ms, or give the tenant a tier with more of it",
        );
    });
}

#[test]
fn a_run_of_nobody_of_a_stranger_or_with_a_foreign_budget_is_told_so() {
    paused(async {
        let tenants = with(Quota::new());
        says(
            &tenants,
            None,
            "SF0652: the run is for no org, and nothing is kept for nobody; start it with `RunOptions::org`, or let an admission say whose it is",
        );
        let stranger: OrgId = "org_00000000000070008000000000000002".parse().unwrap();
        says(
            &tenants,
            stranger,
            "SF0654: org_00000000000070008000000000000002 is not in the registry; add it, or let unknown orgs in with a tier of their own",
        );
        let budget = Budget::new("mine", BudgetLimits::new());
        let said = Asking::spending(&tenants, acme(), Some(budget))
            .poll()
            .unwrap();
        assert_eq!(
            said.tenant().to_string(),
            "SF0659: the run of org_00000000000070008000000000000001 spends from a budget that is no part of its tenant's; make it with `tenants.budget(org)` and `Budget::child`, or start the run without one",
        );
        tenants.suspend(acme()).unwrap();
        says(
            &tenants,
            acme(),
            "SF0653: org_00000000000070008000000000000001 may start nothing: it is suspended; ask whoever runs the registry",
        );
    });
}

#[test]
fn a_registry_that_cannot_be_says_why() {
    let free = || Tenants::builder().tier(Tier::new("free"));
    let text =
        |builder: stageflow_tenancy::TenantsBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(
        text(free().tier(Tier::new("free"))),
        "SF0660: tier `free` is in the registry already, and cannot be named twice; name it once, or change it with `move_to_tier`",
    );
    assert_eq!(
        text(
            free()
                .most(size(1))
                .tenant(org(0), "free")
                .tenant(acme(), "free")
        ),
        "SF0661: there is no room for org_00000000000070008000000000000001; let the registry remember more with `TenantsBuilder::most`",
    );
    assert_eq!(
        text(free().unknown(Unknown::Tier("pro".into()))),
        "SF0662: tier `pro` is not in the registry; look for a typing error, or add it first",
    );
}

#[test]
fn what_is_somebody_elses_is_named_with_both_owners() {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1))).with_org_id(acme());
    let header = stageflow_events::RunHeader::by_hand(
        stageflow_context::ContextSnapshot::new(identity),
        "p".into(),
        [].into(),
        std::time::SystemTime::UNIX_EPOCH,
    );
    let scope = stageflow_tenancy::TenantScope::of_header(&header).unwrap();
    let other: OrgId = "org_00000000000070008000000000000002".parse().unwrap();
    assert_eq!(
        scope.check(other, "read").unwrap_err().to_string(),
        "SF0651: org_00000000000070008000000000000001 may not read this: it belongs to org_00000000000070008000000000000002; look for an id that came with the input instead of from the run",
    );
    assert_eq!(
        scope.check(None, "read").unwrap_err().to_string(),
        "SF0655: org_00000000000070008000000000000001 may not read this: it belongs to nobody; write down whose it is when it is made",
    );
    assert_eq!(scope.check(acme(), "read"), Ok(()));
}
