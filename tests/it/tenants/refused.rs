//! A run that is refused starts nothing, and is told of.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use stageflow::events::EventKind;
use stageflow::executor::RunErrorKind;
use stageflow::interceptors::{Pass, Refusal, RefusalKind};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, QuotaDimension, Tenants, Tier, Unknown};
use stageflow_testkit::{door, paused};

use super::{a_second, for_org, org, three};
use crate::support::Lab;

/// The refusal of a run that was not let in.
#[track_caller]
fn refusal(report: &RunReport<u64>) -> Refusal {
    let error = report.output().unwrap_err();
    match error.kind() {
        RunErrorKind::NotAdmitted(refusal) => refusal.clone(),
        other => panic!("not admitted, and not {other:?}"),
    }
}

#[test]
fn a_run_for_no_org_is_denied_and_never_shared() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let report = lab.engine.run(&a_second(), 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Denied);
        assert_eq!(refusal(&report).code(), "SF0652");
        assert_eq!(refusal(&report).admission(), "tenants");
        assert_eq!(report.duration(), 0.secs());
        let told = lab.assert_nothing_left().await;
        assert_eq!(told[..2], ["run started", "tenant.refused"]);
        assert!(
            told.len() == 3 && told[2].starts_with("run denied"),
            "{told:?}"
        );
        assert_eq!(tenants.strangers().nobody, 1);
    });
}

#[test]
fn an_org_that_nobody_knows_is_denied_unless_it_has_a_tier() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let report = lab.engine.run(&a_second(), 1, for_org(7)).await;
        assert_eq!(
            (report.outcome(), refusal(&report).code()),
            (Outcome::Denied, "SF0654")
        );
        let open = Tenants::builder()
            .tier(Tier::new("free"))
            .unknown(Unknown::Tier("free".into()));
        let open = open.build().unwrap();
        let engine = Engine::builder().admit(open.admission()).build();
        assert!(engine.run(&a_second(), 1, for_org(7)).await.is_success());
        assert_eq!(open.usage(org(7)).unwrap().runs.finished, 1);
    });
}

#[test]
fn a_run_that_is_one_too_many_says_when_to_come_back_and_its_event_says_why() {
    paused(async {
        let two = NonZeroU32::new(2).unwrap();
        let tenants = three(Quota::new().runs_per_second(two));
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let pipeline = a_second();
        let (first, second, third, other) = tokio::join!(
            lab.engine.run(&pipeline, 1, for_org(0)),
            lab.engine.run(&pipeline, 1, for_org(0)),
            lab.engine.run(&pipeline, 1, for_org(0)),
            lab.engine.run(&pipeline, 1, for_org(1)),
        );
        assert!(first.is_success() && second.is_success() && other.is_success());
        // It may be different later: a failure, and no denial.
        assert_eq!(third.outcome(), Outcome::Failed);
        let refusal = refusal(&third);
        assert_eq!(
            (refusal.kind(), refusal.code()),
            (RefusalKind::Busy, "SF0656")
        );
        assert_eq!(refusal.retry_after(), Some(500.millis()));
        let told = lab.sink.events(third.identity().run_id());
        let EventKind::Audit(notice) = told[1].event.kind() else {
            panic!("{told:?}")
        };
        assert_eq!(notice.payload()["org"], org(0).to_string());
        assert_eq!(notice.payload()["dimension"], "runs_per_second");
        assert_eq!(notice.payload()["retry_after_ms"], 500);
        assert_eq!(told[1].run.identity().org_id(), Some(org(0)));
        assert_eq!(
            tenants
                .usage(org(0))
                .unwrap()
                .refused(QuotaDimension::RunsPerSecond),
            1
        );
    });
}

#[test]
fn the_tenant_is_the_one_that_was_proved_and_not_the_one_that_was_claimed() {
    paused(async {
        let tenants = three(Quota::new());
        let engine = Engine::builder()
            .admit(tenants.admission())
            .admit(door(|arrival| {
                arrival.belongs_to(org(0), None);
                Ok(Pass::free())
            }))
            .build();
        assert!(engine.run(&a_second(), 1, for_org(1)).await.is_success());
        let started = |n| tenants.usage(org(n)).unwrap().runs.started;
        assert_eq!((started(0), started(1)), (1, 0));
    });
}

#[test]
fn a_stage_cannot_set_aside_more_than_its_tenant_has() {
    paused(async {
        let tenants = three(Quota::new().tokens(NonZeroU64::new(100).unwrap()));
        let spend = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.reserve(Amounts::tokens(*n))
                .await?
                .settle(Amounts::tokens(*n));
            Ok(*n)
        });
        let mut p = Pipeline::builder("spend");
        let n = p.input::<u64>();
        let a = p.stage("a", spend).after(n);
        let pipeline = p.output(a).build().unwrap();
        let engine = Engine::builder().admit(tenants.admission()).build();
        assert!(engine.run(&pipeline, 70, for_org(0)).await.is_success());
        let report = engine.run(&pipeline, 31, for_org(0)).await;
        assert!(
            report.output().unwrap_err().to_string().contains("SF0217"),
            "{:?}",
            report.output()
        );
        assert!(engine.run(&pipeline, 100, for_org(1)).await.is_success());
        assert!(engine.run(&pipeline, 30, for_org(0)).await.is_success());
        assert_eq!(
            refusal(&engine.run(&pipeline, 1, for_org(0)).await).code(),
            "SF0658"
        );
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 100);
        // A budget that is not the tenant's would be a way around.
        let own = for_org(2).budget(Budget::new("mine", BudgetLimits::new()));
        let report = engine.run(&pipeline, 1, own).await;
        assert_eq!(
            (report.outcome(), refusal(&report).code()),
            (Outcome::Denied, "SF0659")
        );
        let below = tenants
            .budget(org(2))
            .unwrap()
            .child("mine", BudgetLimits::new().tokens(5))
            .unwrap();
        let report = engine.run(&pipeline, 6, for_org(2).budget(below)).await;
        assert_eq!(report.outcome(), Outcome::Failed);
    });
}
