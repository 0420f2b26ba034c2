//! Stages that go on when a window of tokens ends: which window they spend of.

use std::num::NonZeroU64;
use std::sync::Arc;

use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants};
use stageflow_testkit::{Gate, paused};
use tokio::time::sleep;

use super::{a_second, for_org, org, three};

const HUNDRED: NonZeroU64 = NonZeroU64::new(100).unwrap();

/// A hundred tokens in ten minutes.
fn hundred() -> Tenants {
    three(Quota::new().tokens(HUNDRED).every(10.mins()))
}

/// One stage that spends sixty at once and sixty behind the gate, each as `how` says.
fn twice(gate: &Gate, how: fn(&StageCx) -> Result<(), Stop>) -> Pipeline<u64, u64> {
    let gate = gate.clone();
    let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let gate = gate.clone();
        async move {
            how(&cx)?;
            gate.passed().await;
            how(&cx)?;
            Ok(*n)
        }
    });
    let mut p = Pipeline::builder("twice");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    p.output(a).build().unwrap()
}

fn spend(cx: &StageCx) -> Result<(), Stop> {
    let _ = cx.budget().unwrap().spend(Amounts::tokens(60));
    Ok(())
}

fn reserve(cx: &StageCx) -> Result<(), Stop> {
    let set_aside = cx.budget().unwrap().reserve(Amounts::tokens(60))?;
    let _ = set_aside.settle(Amounts::tokens(60));
    Ok(())
}

/// What is left when a stage has spent on both sides of the end of a window, and `between` has happened after it.
fn left_after(
    how: fn(&StageCx) -> Result<(), Stop>,
    between: &impl AsyncFn(&Engine, &Tenants),
) -> (bool, u64) {
    paused(async {
        let tenants = hundred();
        let engine = Engine::builder().admit(tenants.admission()).build();
        let gate = Gate::new();
        let pipeline = twice(&gate, how);
        let run = engine.run(&pipeline, 1, for_org(0));
        let goes_on = async {
            sleep(11.mins()).await;
            between(&engine, &tenants).await;
            gate.open();
        };
        let (report, ()) = tokio::join!(run, goes_on);
        let left = tenants.budget(org(0)).unwrap().left().tokens.unwrap();
        (report.is_success(), left)
    })
}

#[test]
fn what_is_spent_counts_in_the_window_that_the_tenant_was_in_when_somebody_asked_last() {
    let nobody = async |_: &Engine, _: &Tenants| {};
    let a_run = async |engine: &Engine, _: &Tenants| {
        assert!(engine.run(&a_second(), 1, for_org(0)).await.is_success());
    };
    let somebody = async |_: &Engine, tenants: &Tenants| drop(tenants.budget(org(0)));
    // All of it is of the first window, and the second is whole.
    assert_eq!(left_after(spend, &nobody), (true, 100));
    // What came behind the end is of the second.
    assert_eq!(left_after(spend, &a_run), (true, 40));
    assert_eq!(left_after(spend, &somebody), (true, 40));
    // In the first there were forty left, whatever the time was.
    assert_eq!(left_after(reserve, &nobody), (false, 100));
    assert_eq!(left_after(reserve, &a_run), (true, 40));
    assert_eq!(left_after(reserve, &somebody), (true, 40));
}

#[test]
fn what_was_set_aside_in_one_window_and_settled_in_the_next_is_of_the_next() {
    paused(async {
        let tenants = hundred();
        let budget = || tenants.budget(org(0)).unwrap();
        let set_aside = budget().reserve(Amounts::tokens(60)).unwrap();
        sleep(11.mins()).await;
        assert_eq!(budget().left().tokens, Some(40));
        let _ = set_aside.settle(Amounts::tokens(50));
        assert_eq!(budget().left().tokens, Some(50));
        sleep(10.mins()).await;
        assert_eq!(budget().left().tokens, Some(100));
    });
}
