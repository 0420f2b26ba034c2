//! So many stages of a tenant at a time.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_context::{StageCx, StageErrorKind};
use stageflow_interceptors::{Around, Call, Ending, Next, Phase};

use crate::fair::{Entry, Permit, Place, Turn};
use crate::registry::{Member, Stranger};
use crate::{QuotaDimension, QuotaError, TenantError, TenantErrorKind, Tenants, WhenSpent};

const NAME: &str = "tenant-stages";

/// Lets so many stages of each tenant work at a time, over all of its runs: see [`Quota::stages`](crate::Quota::stages). Made by
/// [`Tenants::stages`].
///
/// Those beyond wait, in the order in which they came, and give what they hold of the engine's pools to others meanwhile. Up to 1024
/// of a tenant may wait; those beyond are rejected (`SF0313`), and may be tried again.
///
/// A stage has its place with all of its attempts and parts, and with all stages of the runs that it starts: these do not wait for
/// a place that the stage holds which waits for them. A stage of a run for no org, or for one that nobody knows, is denied.
///
/// Where the quota says [`WhenSpent::RejectStages`](crate::WhenSpent::RejectStages), a stage that comes when its tenant has used up
/// its tokens or its cost is rejected (`SF0313`) with a [`QuotaError`] as its cause, wherever the run is that it belongs to.
#[derive(Clone)]
pub struct TenantStages {
    tenants: Tenants,
}

impl TenantStages {
    pub(crate) fn new(tenants: Tenants) -> Self {
        Self { tenants }
    }

    fn member(&self, call: &Call<'_>) -> Result<Arc<Member>, TenantError> {
        let Some(org) = call.org() else {
            self.tenants.0.count_stranger(Stranger::Nobody);
            return Err(TenantError::nobody());
        };
        let registry = &self.tenants.0;
        registry.find_or_let_in(org).map_err(|stranger| {
            registry.count_stranger(stranger);
            TenantError::of(TenantErrorKind::Unknown, org)
        })
    }
}

#[async_trait]
impl Around for TenantStages {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::Admission
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let member = match self.member(call) {
            Ok(member) => member,
            Err(error) => return Ending::Denied(call.denied(NAME, error)),
        };
        if let Some(error) = spent_up(&member) {
            member.count_rejected_stage();
            call.tell(NAME, "rejected", error.payload());
            let rejected = call.error(StageErrorKind::Rejected, error.clone());
            return Ending::Failed(match error.retry_after() {
                Some(after) => rejected.retry_in(after),
                None => rejected,
            });
        }
        let is_inside_another = call.part().is_some() || call.host().identity().parent().is_some();
        if is_inside_another {
            return next.run(call).await;
        }
        let permit = match member.stages().enter(member.org) {
            Entry::Come(permit) => Some(permit),
            Entry::Wait(place) => turn(call.cx(), place).await,
            Entry::Full(seen, after) => {
                member.count_rejected_stage();
                let (limit, used) = (seen.waiting as u64, seen.waiting as u64);
                let dimension = QuotaDimension::Stages;
                let error = QuotaError::new(member.org, dimension, limit, used, Some(after));
                call.tell(NAME, "rejected", error.payload());
                return Ending::Failed(call.rejected(NAME, error, Some(after)));
            }
        };
        let _permit = permit.map(Permit::taken);
        next.run(call).await
    }
}

/// Why a stage of this tenant may not begin, if its quota is about stages.
fn spent_up(member: &Member) -> Option<QuotaError> {
    let plan = member.any_plan();
    if plan.tier.limits().when_spent != WhenSpent::RejectStages {
        return None;
    }
    plan.window.roll();
    let spent = plan.window.spent_up()?;
    let next = Some(spent.next);
    Some(QuotaError::new(
        member.org,
        spent.dimension,
        spent.limit,
        spent.used,
        next,
    ))
}

/// Waits without what the stage holds of the engine.
async fn turn(cx: StageCx, mut place: Place) -> Option<Permit> {
    let mut turn = None;
    let wait = Box::pin(async { turn = Some(place.turn().await) });
    cx.host().lend(&cx, wait).await;
    match turn {
        Some(Turn::Come(permit)) => Some(permit),
        // Nobody is sent away here.
        Some(Turn::Expelled) | None => None,
    }
}

impl fmt::Debug for TenantStages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantStages").field(&self.tenants).finish()
    }
}
