//! Orgs that nobody knows.

use std::time::Duration;

use stageflow_context::Amounts;
use stageflow_interceptors::RefusalKind;
use stageflow_tenancy::{
    Quota, QuotaDimension, TenantErrorKind, TenantStanding, Tenants, Tier, Unknown,
};
use stageflow_testkit::paused;
use tokio::time::advance;

use crate::support::{ask, org, per_second, size, tokens};

fn open(quota: Quota, most: usize) -> Tenants {
    Tenants::builder()
        .tier(Tier::new("free").quota(quota))
        .unknown(Unknown::Tier("free".into()))
        .most(size(most))
        .build()
        .unwrap()
}

#[test]
fn nobody_and_unknown_orgs_are_denied_if_nothing_is_said() {
    paused(async {
        let tenants = Tenants::builder().build().unwrap();
        let nobody = ask(&tenants, None);
        assert_eq!(
            (nobody.refusal().kind(), nobody.refusal().code()),
            (RefusalKind::Forbidden, "SF0652")
        );
        let unknown = ask(&tenants, org(1));
        assert_eq!(
            (unknown.refusal().kind(), unknown.refusal().code()),
            (RefusalKind::Forbidden, "SF0654")
        );
        assert_eq!(unknown.tenant().org(), Some(org(1)));
        let strangers = tenants.strangers();
        assert_eq!(
            (strangers.nobody, strangers.unknown, strangers.no_room),
            (1, 1, 0)
        );
        assert_eq!(
            tenants.enter(org(1)).unwrap_err().kind(),
            TenantErrorKind::Unknown
        );
        assert!(tenants.usages().is_empty(), "nothing is remembered of them");
    });
}

#[test]
fn nobody_is_denied_also_where_everybody_is_let_in() {
    paused(async {
        let tenants = open(Quota::new(), 10);
        assert_eq!(ask(&tenants, None).refusal().code(), "SF0652");
        drop(ask(&tenants, org(1)).pass());
        assert_eq!(
            tenants.tenant(org(1)).unwrap().standing(),
            TenantStanding::Guest
        );
        assert_eq!(tenants.tenant(org(1)).unwrap().tier(), "free");
    });
}

#[test]
fn so_many_are_remembered_and_those_that_lose_nothing_are_forgotten() {
    paused(async {
        let tenants = open(Quota::new(), 3);
        let first = ask(&tenants, org(0)).pass();
        for n in 1..20 {
            drop(ask(&tenants, org(n)).pass());
            assert!(tenants.usages().len() <= 3);
            advance(Duration::from_millis(100)).await;
        }
        // One that is inside is never forgotten, and nothing of the others is lost.
        assert_eq!(tenants.usage(org(0)).unwrap().runs.running, 1);
        let known: u64 = tenants
            .usages()
            .iter()
            .map(|(_, usage)| usage.runs.started)
            .sum();
        assert_eq!(known + tenants.forgotten().runs.started, 20);
        drop(first);
    });
}

#[test]
fn when_all_are_inside_the_next_is_told_that_there_is_no_room() {
    paused(async {
        let tenants = open(Quota::new(), 2);
        let inside = [ask(&tenants, org(0)).pass(), ask(&tenants, org(1)).pass()];
        let said = ask(&tenants, org(2));
        assert_eq!(
            (said.refusal().kind(), said.refusal().code()),
            (RefusalKind::Busy, "SF0657")
        );
        assert_eq!(
            (said.quota().dimension(), said.quota().limit()),
            (QuotaDimension::Tenants, 2)
        );
        assert_eq!(tenants.strangers().no_room, 1);
        drop(inside);
        advance(Duration::from_millis(100)).await;
        drop(ask(&tenants, org(2)).pass());
    });
}

#[test]
fn a_guest_cannot_get_its_quota_back_by_being_forgotten() {
    paused(async {
        let quota = Quota::new()
            .tokens(tokens(10))
            .runs_per_second(per_second(1));
        let tenants = open(quota.every(Duration::from_secs(60)), 1);
        let said = ask(&tenants, org(0));
        said.budget.clone().unwrap().spend(Amounts::tokens(10));
        drop(said.pass());
        advance(Duration::from_secs(30)).await;
        assert_eq!(
            ask(&tenants, org(1)).quota().dimension(),
            QuotaDimension::Tenants
        );
        assert_eq!(
            ask(&tenants, org(0)).quota().dimension(),
            QuotaDimension::Tokens
        );
        advance(Duration::from_secs(30)).await;
        drop(ask(&tenants, org(1)).pass());
        assert_eq!(tenants.forgotten().spent.tokens, 10);
    });
}

#[test]
fn a_guest_that_is_added_keeps_what_it_has_used() {
    paused(async {
        let tenants = Tenants::builder()
            .tier(Tier::new("free"))
            .tier(Tier::new("pro"))
            .unknown(Unknown::Tier("free".into()))
            .build()
            .unwrap();
        drop(ask(&tenants, org(0)).pass());
        tenants.add(org(0), "pro").unwrap();
        drop(ask(&tenants, org(0)).pass());
        let tenant = tenants.tenant(org(0)).unwrap();
        assert_eq!(
            (tenant.standing(), tenant.tier()),
            (TenantStanding::Member, "pro")
        );
        assert_eq!(tenants.usage(org(0)).unwrap().runs.started, 2);
    });
}
