//! Who is in the registry, and as what.

use stageflow_interceptors::RefusalKind;
use stageflow_tenancy::{
    Quota, TenantErrorKind, TenantStanding, Tenants, TenantsErrorKind, Tier, Unknown,
};
use stageflow_testkit::paused;

use crate::support::{ask, org, size, waits};

#[test]
fn what_is_said_twice_or_not_at_all_does_not_build() {
    let free = || Tenants::builder().tier(Tier::new("free"));
    let kind = |builder: stageflow_tenancy::TenantsBuilder| builder.build().unwrap_err().kind();
    assert_eq!(
        kind(free().tier(Tier::new("free"))),
        TenantsErrorKind::Duplicate
    );
    assert_eq!(
        kind(free().tenant(org(0), "pro")),
        TenantsErrorKind::Unknown
    );
    assert_eq!(
        kind(free().unknown(Unknown::Tier("pro".into()))),
        TenantsErrorKind::Unknown
    );
    let twice = free()
        .tenant(org(0), "free")
        .tenant_in(org(0), "free", "eu");
    assert_eq!(kind(twice), TenantsErrorKind::Duplicate);
    let many = free()
        .most(size(1))
        .tenant(org(0), "free")
        .tenant(org(1), "free");
    assert_eq!(kind(many), TenantsErrorKind::Full);
}

#[test]
fn a_registry_changes_while_it_is_used() {
    let tenants = Tenants::builder()
        .tier(Tier::new("free"))
        .tier(Tier::new("pro"))
        .most(size(2))
        .build()
        .unwrap();
    tenants.add_in(org(0), "pro", "eu").unwrap();
    let kind = |result: Result<(), stageflow_tenancy::TenantsError>| result.unwrap_err().kind();
    assert_eq!(
        kind(tenants.add(org(0), "free")),
        TenantsErrorKind::Duplicate
    );
    assert_eq!(kind(tenants.add(org(1), "gold")), TenantsErrorKind::Unknown);
    assert_eq!(
        kind(tenants.move_to_tier(org(1), "pro")),
        TenantsErrorKind::Unknown
    );
    assert_eq!(kind(tenants.suspend(org(1))), TenantsErrorKind::Unknown);
    tenants.add(org(1), "free").unwrap();
    assert_eq!(kind(tenants.add(org(2), "free")), TenantsErrorKind::Full);
    let scope = tenants.enter(org(0)).unwrap();
    assert_eq!(
        (scope.org(), scope.region(), scope.user()),
        (org(0), Some("eu"), None)
    );
    assert_eq!(tenants.tenant(org(0)).unwrap().region(), Some("eu"));
}

#[test]
fn a_suspended_tenant_starts_nothing_and_what_runs_goes_on() {
    paused(async {
        let tier = Tier::new("one").quota(Quota::new().runs(size(1)));
        let tenants = Tenants::builder()
            .tier(tier)
            .tenant(org(0), "one")
            .build()
            .unwrap();
        let inside = ask(&tenants, org(0)).pass();
        let mut waiting = waits(&tenants, org(0));
        tenants.suspend(org(0)).unwrap();
        let said = waiting.poll().expect("it is sent away at once");
        assert_eq!(
            (said.refusal().kind(), said.refusal().code()),
            (RefusalKind::Forbidden, "SF0653")
        );
        assert_eq!(said.notices[0].payload()["why"], "suspended");
        assert_eq!(
            ask(&tenants, org(0)).tenant().kind(),
            TenantErrorKind::Suspended
        );
        assert_eq!(
            tenants.enter(org(0)).unwrap_err().kind(),
            TenantErrorKind::Suspended
        );
        assert_eq!(
            tenants.tenant(org(0)).unwrap().standing(),
            TenantStanding::Suspended
        );
        let usage = tenants.usage(org(0)).unwrap();
        assert_eq!(
            (
                usage.runs.running,
                usage.refused["suspended"],
                usage.asked()
            ),
            (1, 2, 3)
        );
        drop(inside);
        tenants.resume(org(0)).unwrap();
        drop(ask(&tenants, org(0)).pass());
    });
}
