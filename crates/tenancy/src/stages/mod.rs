//! So many stages of a tenant at a time.

mod loan;
mod loans;

use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use stageflow_context::{StageCx, StageErrorKind};
use stageflow_interceptors::{Around, Call, Ending, Lent, Next, Phase, WaitsFor};

use self::loan::{Borrowed, Loan};
pub(crate) use self::loans::Loans;
use self::loans::Origin;
use crate::fair::{Entry, Permit, Place, Seen, Turn};
use crate::registry::{Member, Stranger};
use crate::{QuotaDimension, QuotaError, TenantError, TenantErrorKind, Tenants, WhenSpent};

const NAME: &str = "tenant-stages";

/// Lets so many stages of each tenant work at a time, over all of its runs: see [`Quota::stages`](crate::Quota::stages). Made by
/// [`Tenants::stages`].
///
/// Those beyond wait, in the order in which they came, and give what they hold of the engine's pools to others meanwhile. Up to 1024
/// of a tenant may wait; those beyond are rejected (`SF0313`), and may be tried again.
///
/// A stage has its place with all of its attempts. Of what is called in parts (maps, loops) each part has one; a part waits however
/// many others do. A stage or part that starts a run, or has parts inside it, lends its place to them, one at a time, beside those
/// that have places of their own: what it waits for never waits for its place. While it works itself meanwhile, it is one more.
/// A stage that waits for a person or inside a `lend` of its own, or for a run in which another does, gives its place to others
/// meanwhile, and has one again before it goes on: in the order in which they come.
///
/// A stage of a run for no org, or for one that nobody knows, is denied.
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

    fn member(&self, call: &Call<'_>) -> Result<Arc<Member>, Ending> {
        let registry = &self.tenants.0;
        let stranger = match call.org() {
            None => Stranger::Nobody,
            Some(org) => match registry.find_or_let_in(org) {
                Ok(member) => return Ok(member),
                Err(stranger) => stranger,
            },
        };
        registry.count_stranger(stranger);
        Err(match (stranger, call.org()) {
            (Stranger::NoRoom, Some(org)) => rejected(call, self.tenants.no_room(org)),
            (_, Some(org)) => {
                Ending::Denied(call.denied(NAME, TenantError::of(TenantErrorKind::Unknown, org)))
            }
            (_, None) => Ending::Denied(call.denied(NAME, TenantError::nobody())),
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
            Err(ending) => return ending,
        };
        if let Some(error) = spent_up(&member) {
            member.count_rejected_stage();
            return rejected(call, error);
        }
        let origin = member.loans().origin(call);
        let source = origin.source();
        let held = match enter(&member, call.cx(), origin).await {
            Ok(held) => held,
            Err((seen, after)) => return full(&member, call, seen, after),
        };
        let loan = Loan::new(Arc::clone(member.stages()), member.org, source, held);
        let _lender = member.loans().lend(call, loan);
        next.run(call).await
    }

    fn lend(&self, cx: &StageCx, waits: WaitsFor) -> Option<Box<dyn Lent>> {
        let org = cx.identity().org_id()?;
        let member = self.tenants.0.find(org)?;
        let loan = member.loans().held_by(cx)?;
        Some(Box::new(loan.begin(cx, waits)))
    }
}

/// Why a stage of this tenant may not begin, if its quota is about stages.
fn spent_up(member: &Member) -> Option<QuotaError> {
    let plan = member.any_plan();
    // Also where stages go on: what they set aside is of the window that it is time for.
    plan.window.roll();
    if plan.tier.limits().when_spent != WhenSpent::RejectStages {
        return None;
    }
    let spent = plan.window.spent_up()?;
    let (limit, used, next) = (spent.limit, spent.used, Some(spent.next));
    Some(QuotaError::new(
        member.org,
        spent.dimension,
        limit,
        used,
        next,
    ))
}

/// What a stage works on. Given back when it is dropped.
#[derive(Default)]
pub(crate) struct Held {
    _own: Option<Permit>,
    _borrowed: Option<Borrowed>,
}

impl Held {
    fn own(permit: Permit) -> Self {
        Self {
            _own: Some(permit.taken()),
            _borrowed: None,
        }
    }

    fn of(lender: Borrowed) -> Self {
        Self {
            _own: None,
            _borrowed: Some(lender),
        }
    }
}

/// Has a place, or waits for one: of its own, or of whoever waits for it.
async fn enter(member: &Member, cx: StageCx, origin: Origin) -> Result<Held, (Seen, Duration)> {
    let (entry, source) = match origin {
        Origin::Outside => (member.stages().enter(member.org), None),
        Origin::Inside(source) => {
            if let Some(borrowed) = source.as_ref().and_then(Loan::try_borrow) {
                return Ok(Held::of(borrowed));
            }
            (member.stages().enter_anyway(member.org), source)
        }
    };
    match entry {
        Entry::Come(permit) => Ok(Held::own(permit)),
        Entry::Wait(place) => Ok(wait(cx, place, source).await),
        Entry::Full(seen, after) => Err((seen, after)),
    }
}

/// Waits without what the stage holds of the engine.
async fn wait(cx: StageCx, mut place: Place, source: Option<Arc<Loan>>) -> Held {
    let mut held = Held::default();
    let wait = Box::pin(async { held = either(&mut place, source.as_ref()).await });
    cx.host().lend(&cx, wait).await;
    held
}

async fn either(place: &mut Place, source: Option<&Arc<Loan>>) -> Held {
    let borrowed = async {
        match source {
            Some(source) => source.borrow().await,
            None => pending().await,
        }
    };
    match select(pin!(place.turn()), pin!(borrowed)).await {
        Either::Left((Turn::Come(permit), _)) => Held::own(permit),
        // Nobody is sent away here.
        Either::Left((Turn::Expelled, _)) => Held::default(),
        Either::Right((borrowed, _)) => Held::of(borrowed),
    }
}

#[cold]
fn full(member: &Member, call: &Call<'_>, seen: Seen, after: Duration) -> Ending {
    member.count_rejected_stage();
    let (limit, used) = (seen.waiting as u64, seen.waiting as u64);
    let dimension = QuotaDimension::Stages;
    rejected(
        call,
        QuotaError::new(member.org, dimension, limit, used, Some(after)),
    )
}

fn rejected(call: &Call<'_>, error: QuotaError) -> Ending {
    call.tell(NAME, "rejected", error.payload());
    let after = error.retry_after();
    let rejected = call.error(StageErrorKind::Rejected, error);
    Ending::Failed(match after {
        Some(after) => rejected.retry_in(after),
        None => rejected,
    })
}

impl fmt::Debug for TenantStages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantStages").field(&self.tenants).finish()
    }
}
