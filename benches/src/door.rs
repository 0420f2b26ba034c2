//! Runs of one stage that have to be let in.

use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow::context::{OrgId, SystemIds};
use stageflow::interceptors::{Admission, Arrival, Pass, Refusal, async_trait};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier};

use crate::harness::Batch;

/// Who stands at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    Nobody,
    /// An admission that lets everybody in, and keeps nothing.
    Open,
    /// A registry of tenants, with room for the run.
    Tenants,
    /// The same; the tenant has a rate, tokens, and so many runs at a time.
    Quotas,
}

/// Runs it, for a tenant.
pub(crate) fn runs(keeper: Keeper) -> Batch {
    let org = OrgId::generate(&SystemIds::new());
    let engine = match keeper {
        Keeper::Nobody => Engine::builder(),
        Keeper::Open => Engine::builder().admit(Open),
        Keeper::Tenants => Engine::builder().admit(tenants(org, Quota::new()).admission()),
        Keeper::Quotas => Engine::builder().admit(tenants(org, quota()).admission()),
    };
    let (engine, pipeline) = (engine.build(), pipeline());
    Arc::new(move |count| {
        let (engine, pipeline) = (engine.clone(), pipeline.clone());
        Box::pin(async move {
            for _ in 0..count {
                let options = RunOptions::new().org(org);
                let report = engine.run(&pipeline, 0, options).await;
                assert!(report.is_success(), "{report:?}");
            }
        })
    })
}

fn quota() -> Quota {
    const MANY: NonZeroU32 = NonZeroU32::MAX;
    const TOKENS: std::num::NonZeroU64 = std::num::NonZeroU64::MAX;
    const EIGHT: std::num::NonZeroUsize = std::num::NonZeroUsize::new(8).unwrap();
    Quota::new()
        .runs(EIGHT)
        .runs_per_second(MANY)
        .tokens(TOKENS)
}

#[expect(
    clippy::expect_used,
    reason = "a bench without its registry measures nothing"
)]
fn tenants(org: OrgId, quota: Quota) -> Tenants {
    let tier = Tier::new("pro").quota(quota);
    let tenants = Tenants::builder().tier(tier).tenant(org, "pro");
    tenants.build().expect("one tier and one tenant")
}

#[expect(
    clippy::expect_used,
    reason = "a bench without its pipeline measures nothing"
)]
fn pipeline() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("one");
    let n = p.input::<u64>();
    let stage = stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok(*n + 1));
    let a = p.stage("a", stage).after(n);
    p.output(a).build().expect("one stage")
}

/// Lets everybody in.
struct Open;

#[async_trait]
impl Admission for Open {
    fn name(&self) -> &str {
        "open"
    }

    async fn admit(&self, _arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        Ok(Pass::free())
    }
}
