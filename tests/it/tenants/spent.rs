//! What happens when a tenant has used up what it may spend.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::BudgetErrorKind;
use stageflow::executor::RunErrorKind;
use stageflow::interceptors::{RefusalKind, Retry};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, QuotaDimension, QuotaError, WhenSpent};
use stageflow_testkit::paused;
use tokio::time::advance;

use super::{for_org, org, size, three};
use crate::support::{Lab, eventually};

fn model() -> Operation {
    Operation::chat("m")
}

/// One stage that makes a call which uses so many tokens, at a cost of as many cents.
fn spends() -> Pipeline<u64, u64> {
    let call = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        cx.operation(model(), async |op| {
            op.used(Usage::tokens(*n, 0).at_cost(Cost::from_cents(*n)));
            Ok::<_, Stop>(*n)
        })
        .await
    });
    let mut p = Pipeline::builder("spends");
    let n = p.input::<u64>();
    let a = p.stage("a", call).after(n);
    p.output(a).build().unwrap()
}

#[track_caller]
fn quota_error(report: &RunReport<u64>) -> QuotaError {
    let error = report.output().unwrap_err();
    let RunErrorKind::NotAdmitted(refusal) = error.kind() else {
        panic!("not admitted, and not {error:?}")
    };
    assert_eq!(
        (refusal.kind(), refusal.code()),
        (RefusalKind::Busy, "SF0658")
    );
    let cause = std::error::Error::source(refusal).unwrap();
    cause.downcast_ref::<QuotaError>().unwrap().clone()
}

#[test]
fn what_comes_after_a_quota_is_used_up_is_refused_and_let_in_when_the_window_is_over() {
    let most = NonZeroU64::new(100).unwrap();
    let quotas = [
        (
            Quota::new().tokens(most),
            QuotaDimension::Tokens,
            [100, 103],
        ),
        (
            Quota::new().cost(Cost::from_cents(100)),
            QuotaDimension::Cost,
            [1_000_000, 1_030_000],
        ),
    ];
    for (quota, dimension, [limit, used]) in quotas {
        paused(async {
            let tenants = three(quota.every(10.mins()));
            let engine = Engine::builder().admit(tenants.admission()).build();
            let pipeline = spends();
            let run = |n| engine.run(&pipeline, n, for_org(0));
            assert!(run(60).await.is_success());
            advance(4.mins()).await;
            // It was let in while there was something left; what it used beyond that is spent.
            assert!(run(43).await.is_success());
            let error = quota_error(&run(1).await);
            assert_eq!((error.org(), error.dimension()), (org(0), dimension));
            assert_eq!((error.limit(), error.used()), (limit, used));
            assert_eq!(error.retry_after(), Some(6.mins()));
            assert!(engine.run(&pipeline, 1, for_org(1)).await.is_success());
            advance(6.mins()).await;
            assert!(run(7).await.is_success());
            let spent = tenants.usage(org(0)).unwrap().spent;
            assert_eq!((spent.tokens, spent.cost), (110, Cost::from_cents(110)));
        });
    }
}

#[test]
fn a_call_is_told_that_it_has_used_too_much() {
    paused(async {
        let tenants = three(Quota::new().tokens(NonZeroU64::new(100).unwrap()));
        let call = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.operation(model(), async |op| {
                let booked = op.used(Usage::tokens(*n, 0));
                Ok::<_, Stop>(booked.into_result().map(|()| *n)?)
            })
            .await
        });
        let mut p = Pipeline::builder("careful");
        let n = p.input::<u64>();
        let a = p.stage("a", call).after(n);
        let pipeline = p.output(a).build().unwrap();
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        assert!(
            lab.engine
                .run(&pipeline, 100, for_org(0))
                .await
                .is_success()
        );
        assert!(
            lab.engine
                .run(&pipeline, 100, for_org(1))
                .await
                .is_success()
        );
        let report = lab.engine.run(&pipeline, 101, for_org(2)).await;
        assert!(report.output().unwrap_err().to_string().contains("SF0218"));
        let told = lab.assert_nothing_left().await;
        assert!(
            told.iter().any(|line| line == "budget.exceeded"),
            "{told:?}"
        );
        let budget = tenants.budget(org(2)).unwrap();
        assert_eq!(budget.overrun().tokens, 1);
        let error = budget.reserve(Amounts::tokens(1)).unwrap_err();
        assert_eq!(error.kind(), BudgetErrorKind::Exceeded);
    });
    // Without a budget nobody counts, and there is nothing to object to.
    paused(async {
        assert!(
            Engine::new()
                .run(&spends(), u64::MAX, RunOptions::new())
                .await
                .is_success()
        );
    });
}

/// A stage that uses all it is given, and then one in a run inside, and one after it.
fn on_and_on() -> Pipeline<u64, u64> {
    let inner = spends();
    let inside = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let inner = inner.clone();
        async move { Ok::<_, Stop>(*cx.run(&inner, *n).await?) }
    });
    let call = async |cx: StageCx, n: Arc<u64>| {
        cx.operation(model(), async |op| {
            op.used(Usage::tokens(*n, 0));
            Ok::<_, Stop>(*n)
        })
        .await
    };
    let mut p = Pipeline::builder("on-and-on");
    let n = p.input::<u64>();
    let first = p.stage("first", stage_fn(call)).after(n);
    let inside = p.stage("inside", inside).after(first);
    let last = p.stage("last", stage_fn(call)).after(inside);
    p.output(last).build().unwrap()
}

#[test]
fn a_run_inside_goes_on_when_the_quota_is_used_up_unless_it_is_said_that_stages_do_not() {
    let quota = Quota::new().tokens(NonZeroU64::new(100).unwrap());
    let quota = quota.every(10.mins());
    let of = |quota| {
        let tenants = three(quota);
        let lab = Lab::with(|builder| {
            let retry = Retry::constant(3).first(Duration::from_millis(1));
            let builder = builder.admit(tenants.admission());
            builder.intercept(tenants.stages()).intercept(retry)
        });
        (tenants, lab)
    };
    paused(async {
        let (tenants, lab) = of(quota);
        assert!(
            lab.engine
                .run(&on_and_on(), 100, for_org(0))
                .await
                .is_success()
        );
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 300);
    });
    // How much each stage uses, which one is rejected, and in which stage of the run it is.
    for (n, rejected, in_stage) in [
        (100, "inside", "inside"),
        (50, "last", "last"),
        (34, "", ""),
    ] {
        paused(async {
            let (tenants, lab) = of(quota.when_spent(WhenSpent::RejectStages));
            let report = lab.engine.run(&on_and_on(), n, for_org(0)).await;
            let usage = tenants.usage(org(0)).unwrap();
            if rejected.is_empty() {
                assert!(report.is_success());
                assert_eq!((usage.spent.tokens, usage.stages.rejected), (102, 0));
                return;
            }
            assert_eq!(usage.stages.rejected, 1);
            assert_eq!(usage.spent.tokens, 100);
            let error = report.output().unwrap_err();
            let RunErrorKind::Failed(error) = error.kind() else {
                panic!("{error:?}")
            };
            assert_eq!((error.stage().as_str(), error.code()), (in_stage, "SF0313"));
            let cause = std::error::Error::source(error).unwrap();
            let cause = cause.downcast_ref::<QuotaError>().unwrap();
            assert_eq!(
                (cause.org(), cause.dimension()),
                (org(0), QuotaDimension::Tokens)
            );
            assert_eq!((cause.limit(), cause.used()), (100, 100));
            assert_eq!(cause.retry_after(), Some(10.mins()));
            let told = lab.assert_nothing_left().await;
            let line = "layer.tenant_stages.rejected";
            assert_eq!(
                told.iter().filter(|told| *told == line).count(),
                1,
                "{told:?}"
            );
            // The next window has room again, also for a run that began in this one.
            advance(10.mins()).await;
            assert!(
                lab.engine
                    .run(&on_and_on(), 30, for_org(0))
                    .await
                    .is_success()
            );
        });
    }
}

#[test]
fn a_stage_of_a_run_inside_is_rejected_too() {
    paused(async {
        let quota = Quota::new().tokens(NonZeroU64::new(100).unwrap());
        let tenants = three(quota.when_spent(WhenSpent::RejectStages));
        let lab = Lab::with(|builder| {
            let builder = builder.admit(tenants.admission());
            builder.intercept(tenants.stages())
        });
        // The outer stage has begun when it is used up.
        let inner = spends();
        let outer = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let inner = inner.clone();
            async move {
                cx.run(&inner, *n).await?;
                Ok::<_, Stop>(*cx.run(&inner, *n).await?)
            }
        });
        let mut p = Pipeline::builder("outer");
        let n = p.input::<u64>();
        let a = p.stage("outer", outer).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 100, for_org(0)).await;
        let error = report.output().unwrap_err().to_string();
        assert!(error.contains("SF0658"), "{error}");
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 100);
    });
}

#[test]
fn what_is_spent_of_a_budget_of_the_runs_own_is_spent_of_the_tenants_once() {
    paused(async {
        let tenants = three(Quota::new());
        let engine = Engine::builder().admit(tenants.admission()).build();
        let own = tenants.budget(org(0)).unwrap();
        let own = own.child("mine", BudgetLimits::new().tokens(50)).unwrap();
        let report = engine
            .run(&spends(), 30, for_org(0).budget(own.clone()))
            .await;
        assert_eq!(report.budget().unwrap().spent().tokens, 30);
        assert_eq!(own.spent().tokens, 30);
        assert_eq!(tenants.usage(org(0)).unwrap().spent.tokens, 30);
        eventually("nothing is set aside", || own.reserved() == Amounts::ZERO).await;
    });
}

#[test]
fn a_run_whose_turn_comes_when_it_is_used_up_is_refused_then() {
    paused(async {
        let quota = Quota::new().tokens(NonZeroU64::new(100).unwrap());
        let tenants = three(quota.runs(size(1)).every(10.mins()));
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let pipeline = spends();
        let runs = (0..5).map(|_| lab.engine.run(&pipeline, 40, for_org(0)));
        let reports = join_all(runs).await;
        let ended: Vec<bool> = reports.iter().map(RunReport::is_success).collect();
        // They came together, when nothing was used yet.
        assert_eq!(ended, [true, true, true, false, false]);
        let error = quota_error(&reports[3]);
        assert_eq!((error.limit(), error.used()), (100, 120));
        assert_eq!(error.retry_after(), Some(10.mins()));
        let usage = tenants.usage(org(0)).unwrap();
        assert_eq!((usage.runs.started, usage.runs.running), (3, 0));
        assert_eq!(usage.refused(QuotaDimension::Tokens), 2);
        assert_eq!((usage.asked(), usage.spent.tokens), (5, 120));
        lab.assert_nothing_left().await;
    });
}
