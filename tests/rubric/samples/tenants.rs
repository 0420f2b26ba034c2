//! What tenants may not do, or have no more of.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use stageflow::context::{OrgId, SeededIds};
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow::tenancy::{
    Quota, QuotaError, TenantError, Tenants, TenantsBuilder, Tier as Class, Unknown,
};
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

const ACME: &str = "org_00000000000070008000000000000001";
const OTHER: &str = "org_00000000000070008000000000000002";

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = vec![quota(), too_fast(), spent(), foreign_budget()];
    samples.extend(of_tenants());
    samples.extend(of_registries());
    samples
}

fn acme() -> OrgId {
    ACME.parse().unwrap()
}

fn registry() -> Tenants {
    with(Quota::new().runs(NonZeroUsize::MIN).no_queue())
}

fn with(quota: Quota) -> Tenants {
    let tier = Class::new("free").quota(quota);
    let tenants = Tenants::builder().tier(tier).tenant(acme(), "free");
    tenants.build().unwrap()
}

/// The cause of the refusal of the second of two runs.
fn refused<E: std::error::Error + Clone + 'static>(
    tenants: &Tenants,
    options: impl Fn() -> RunOptions,
) -> E {
    let engine = Engine::builder().admit(tenants.admission()).build();
    let mut p = Pipeline::builder("answer");
    let key = p.input::<String>();
    let slow = script::ok::<std::sync::Arc<String>, u64>(1).taking(1.secs());
    let a = p.stage("search", slow).after(key);
    let pipeline = p.output(a).build().unwrap();
    let run = || engine.run(&pipeline, CANARY.to_owned(), options());
    let (_, report) = paused(async { tokio::join!(run(), run()) });
    let error = report.output().unwrap_err();
    let RunErrorKind::NotAdmitted(refusal) = error.kind() else {
        panic!("{error}")
    };
    let cause = std::error::Error::source(refusal).unwrap();
    cause.downcast_ref::<E>().unwrap().clone()
}

fn quota() -> Sample {
    let error: QuotaError = refused(&registry(), || RunOptions::new().org(acme()));
    Sample::of("QuotaError", "QuotaError", error.code(), &error)
        .beside_a_secret()
        .names([ACME])
        .facts(["1 of 1", "1000 ms"])
}

fn too_fast() -> Sample {
    let tenants = with(Quota::new().runs_per_second(NonZeroU32::MIN));
    let error: QuotaError = refused(&tenants, || RunOptions::new().org(acme()));
    Sample::of("QuotaError", "QuotaError", error.code(), &error)
        .beside_a_secret()
        .names([ACME])
        .facts(["1 runs a second", "1000 ms"])
}

fn spent() -> Sample {
    let tenants = with(Quota::new().tokens(NonZeroU64::MIN));
    tenants.budget(acme()).unwrap().spend(Amounts::tokens(3));
    let error: QuotaError = refused(&tenants, || RunOptions::new().org(acme()));
    Sample::of("QuotaError", "QuotaError", error.code(), &error)
        .beside_a_secret()
        .names([ACME])
        .facts(["its 1 tokens", "3 spent"])
}

fn foreign_budget() -> Sample {
    let budget = || Budget::new("mine", BudgetLimits::new());
    let error: TenantError = refused(&registry(), || {
        RunOptions::new().org(acme()).budget(budget())
    });
    tenant(&error).beside_a_secret().facts(["budget"])
}

fn tenant(error: &TenantError) -> Sample {
    let kind = kind_name("TenantErrorKind", &error.kind());
    Sample::of("TenantError", &kind, error.code(), error).names([ACME])
}

fn of_tenants() -> Vec<Sample> {
    let tenants = registry();
    let scope = tenants.enter(acme()).unwrap();
    let other: OrgId = OTHER.parse().unwrap();
    let cross = scope.check(other, "read").unwrap_err();
    let unowned = scope.check(None, "read").unwrap_err();
    tenants.suspend(acme()).unwrap();
    let suspended = tenants.enter(acme()).unwrap_err();
    let unknown = tenants.enter(other).unwrap_err();
    let nobody: TenantError = refused(&registry(), RunOptions::new);
    let kind = |error: &TenantError| kind_name("TenantErrorKind", &error.kind());
    vec![
        tenant(&cross).facts(["read", OTHER]),
        tenant(&unowned).facts(["read", "nobody"]),
        tenant(&suspended).facts(["suspended"]),
        Sample::of("TenantError", &kind(&unknown), unknown.code(), &unknown)
            .names([OTHER])
            .facts(["registry"]),
        Sample::of("TenantError", &kind(&nobody), nobody.code(), &nobody)
            .beside_a_secret()
            .names(["RunOptions::org"])
            .facts(["no org"]),
    ]
}

fn of_registries() -> Vec<Sample> {
    let free = || Tenants::builder().tier(Class::new("free"));
    let org = OrgId::generate(&SeededIds::new(1));
    let sample = |builder: TenantsBuilder, names, facts| {
        let error = builder.build().unwrap_err();
        let kind = kind_name("TenantsErrorKind", &error.kind());
        let sample = Sample::of("TenantsError", &kind, error.code(), &error);
        sample.names([names]).facts([facts])
    };
    vec![
        sample(free().tier(Class::new("free")), "`free`", "already"),
        sample(
            free()
                .most(NonZeroUsize::MIN)
                .tenant(org, "free")
                .tenant(acme(), "free"),
            ACME,
            "no room",
        ),
        sample(
            free().unknown(Unknown::Tier("pro".into())),
            "`pro`",
            "not in the registry",
        ),
    ]
}
