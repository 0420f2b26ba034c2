//! Tenants through an engine: who is let in and when, and what comes back however a run ends.

mod away;
mod endings;
mod place;
mod refused;
mod spent;
mod spent_sum;
mod stages;
mod who;
mod windows;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{OrgId, SeededIds};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier};
use stageflow_testkit::Gate;

/// The `n`th org.
pub(super) fn org(n: u64) -> OrgId {
    OrgId::generate(&SeededIds::new(9000 + n))
}

pub(super) fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

pub(super) fn for_org(n: u64) -> RunOptions {
    RunOptions::new().org(org(n))
}

/// Three tenants of this quota.
pub(super) fn three(quota: Quota) -> Tenants {
    let mut builder = Tenants::builder().tier(Tier::new("pro").quota(quota));
    for n in 0..3 {
        builder = builder.tenant_in(org(n), "pro", "eu");
    }
    builder.build().unwrap()
}

/// One stage that takes a second.
pub(super) fn a_second() -> Pipeline<u64, u64> {
    let stage = stage_fn(async |_cx: StageCx, n: Arc<u64>| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(*n)
    });
    let mut p = Pipeline::builder("answer");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    p.output(a).build().unwrap()
}

/// One stage that waits at the gate.
pub(super) fn at(gate: &Gate) -> Pipeline<u64, u64> {
    let stage = stageflow_testkit::script::ok::<Arc<u64>, u64>(1).behind(gate);
    let mut p = Pipeline::builder("answer");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    p.output(a).build().unwrap()
}
