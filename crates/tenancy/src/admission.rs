//! Whether a run may start, and when.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::{AuditArea, AuditNotice, Budget, OrgId};
use stageflow_interceptors::{Admission, Arrival, Pass, Refusal, RefusalKind};
use tokio::time::{Instant, timeout};

use crate::fair::{Entry, Permit, Place, Seen, Turn};
use crate::registry::{Member, Plan, Reason, Stranger};
use crate::{QuotaDimension, QuotaError, TenantError, TenantErrorKind, Tenants};

/// Asks the registry whether a run may start. Made by [`Tenants::admission`].
///
/// In this order: a run for no org is refused, and so is one for an org that is not known or is suspended; a run whose budget is no
/// part of its tenant's; one whose tenant has used up its tokens or its cost; one that comes too fast. Whoever is left starts at once
/// if there is room, or waits; a run whose tenant has used them up when its turn comes is refused then.
///
/// # Whose turn it is
///
/// As many runs are inside as the registry lets in at a time, and of each tenant as many as its tier says. Tenants that wait, and are
/// not at their own limit, have turns in proportion to the weights of their tiers: deficit round robin (Shreedhar & Varghese,
/// "Efficient Fair Queueing using Deficit Round Robin", SIGCOMM 1995) where every run has the same size. Between two such tenants the
/// turns had, each divided by its weight, differ by one round at most, over any stretch of time. Within a tenant it is the order in
/// which they came, whatever their priority.
///
/// # Cancellation
///
/// A run that is stopped while it waits has held nothing, and leaves no hole: those behind it move up.
#[derive(Clone)]
pub struct TenantAdmission {
    tenants: Tenants,
}

impl TenantAdmission {
    pub(crate) fn new(tenants: Tenants) -> Self {
        Self { tenants }
    }

    async fn let_in(&self, arrival: &mut Arrival<'_>) -> Result<Pass, No> {
        let member = self.member(arrival)?;
        let plan = Self::plan(&member)?;
        Self::budget(&member, &plan, arrival.budget())?;
        Self::has_left(&member, &plan)?;
        Self::rate(&member, &plan)?;
        let permit = match self.tenants.0.line.enter(member.org) {
            Entry::Come(permit) => permit,
            Entry::Wait(place) => Self::turn(&member, &plan, place).await?,
            Entry::Full(seen, after) => return Err(full(&member, &plan, seen, after)),
        };
        // While it waited the tenant may have been moved or suspended, and others may have used up what there was.
        let plan = Self::plan(&member);
        let plan = plan.and_then(|plan| Self::has_left(&member, &plan).map(|()| plan));
        let plan = match plan {
            Ok(plan) => plan,
            Err(no) => {
                permit.refuse();
                return Err(no);
            }
        };
        if arrival.budget().is_none() {
            arrival.spend_from(plan.window.level().clone());
        }
        arrival.attach(member.tenant());
        Ok(Pass::holding(Stay {
            _permit: permit.taken(),
            _member: member,
        }))
    }

    fn member(&self, arrival: &Arrival<'_>) -> Result<Arc<Member>, No> {
        let registry = &self.tenants.0;
        let stranger = match arrival.identity().org_id() {
            None => Stranger::Nobody,
            Some(org) => match registry.find_or_let_in(org) {
                Ok(member) => return Ok(member),
                Err(stranger) => stranger,
            },
        };
        registry.count_stranger(stranger);
        Err(match (stranger, arrival.identity().org_id()) {
            (Stranger::NoRoom, Some(org)) => No::Quota(self.tenants.no_room(org)),
            (_, Some(org)) => No::Tenant(TenantError::of(TenantErrorKind::Unknown, org)),
            (_, None) => No::Tenant(TenantError::nobody()),
        })
    }

    fn plan(member: &Member) -> Result<Arc<Plan>, No> {
        member.plan().ok_or_else(|| suspended(member))
    }

    /// Whether the budget that a run came with is below its tenant's.
    fn budget(member: &Member, plan: &Plan, budget: Option<&Budget>) -> Result<(), No> {
        let level = plan.window.level();
        if budget.is_some_and(|budget| !budget.is_within(level)) {
            member.count_refused(Reason::ForeignBudget);
            let kind = TenantErrorKind::ForeignBudget;
            return Err(No::Tenant(TenantError::of(kind, member.org)));
        }
        Ok(())
    }

    /// Whether something is left of the window that it is time for.
    fn has_left(member: &Member, plan: &Plan) -> Result<(), No> {
        plan.window.roll();
        plan.window.spent_up().map_or(Ok(()), |spent| {
            let (limit, used, next) = (spent.limit, spent.used, Some(spent.next));
            Err(refused(member, spent.dimension, limit, used, next))
        })
    }

    fn rate(member: &Member, plan: &Plan) -> Result<(), No> {
        let Some(rate) = &plan.rate else {
            return Ok(());
        };
        rate.take(NonZeroU32::MIN).map_err(|after| {
            let limit = rate.per_second();
            refused(member, QuotaDimension::RunsPerSecond, limit, limit, after)
        })
    }

    async fn turn(member: &Member, plan: &Plan, mut place: Place) -> Result<Permit, No> {
        let most = plan.tier.limits().wait;
        let since = Instant::now();
        let turn = match timeout(most, place.turn()).await {
            Ok(turn) => turn,
            Err(_) => match place.give_up().await {
                Ok(turn) => turn,
                Err((_, after)) => {
                    let (most, waited) = (most.as_millis(), since.elapsed().as_millis());
                    let number = |millis| u64::try_from(millis).unwrap_or(u64::MAX);
                    let (limit, used) = (number(most), number(waited));
                    return Err(refused(
                        member,
                        QuotaDimension::Wait,
                        limit,
                        used,
                        Some(after),
                    ));
                }
            },
        };
        match turn {
            Turn::Come(permit) => Ok(permit),
            Turn::Expelled => Err(suspended(member)),
        }
    }
}

#[async_trait]
impl Admission for TenantAdmission {
    fn name(&self) -> &str {
        "tenants"
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        self.let_in(arrival).await.map_err(|no| no.tell(arrival))
    }
}

impl fmt::Debug for TenantAdmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantAdmission")
            .field(&self.tenants)
            .finish()
    }
}

/// What a run holds while it is inside.
struct Stay {
    _permit: Permit,
    /// It is not forgotten meanwhile.
    _member: Arc<Member>,
}

/// Why a run may not start.
enum No {
    Tenant(TenantError),
    Quota(QuotaError),
}

impl No {
    #[cold]
    fn tell(self, arrival: &mut Arrival<'_>) -> Refusal {
        let (payload, refusal) = match self {
            Self::Tenant(error) => {
                let code = error.code();
                let payload =
                    json!({ "org": error.org(), "why": error.kind().as_str(), "code": code });
                let refusal = Refusal::new(RefusalKind::Forbidden, error);
                (payload, refusal.with_code(code))
            }
            Self::Quota(error) => {
                let (code, after) = (error.code(), error.retry_after());
                let payload = error.payload();
                let refusal = Refusal::new(RefusalKind::Busy, error).with_code(code);
                let refusal = match after {
                    Some(after) => refusal.retry_in(after),
                    None => refusal,
                };
                (payload, refusal)
            }
        };
        arrival.audit(AuditNotice::new(AuditArea::Tenant, "refused", payload));
        refusal
    }
}

#[cold]
fn suspended(member: &Member) -> No {
    member.count_refused(Reason::Suspended);
    No::Tenant(TenantError::of(TenantErrorKind::Suspended, member.org))
}

#[cold]
fn full(member: &Member, plan: &Plan, seen: Seen, after: std::time::Duration) -> No {
    let quota = plan.tier.limits();
    let number = |count: usize| count as u64;
    let (dimension, limit, used) = match quota.queue {
        0 => {
            let limit = quota.runs.map_or(seen.inside, std::num::NonZeroUsize::get);
            (QuotaDimension::Runs, limit, seen.inside)
        }
        queue => (QuotaDimension::Queue, queue, seen.waiting),
    };
    refused(member, dimension, number(limit), number(used), Some(after))
}

#[cold]
fn refused(
    member: &Member,
    dimension: QuotaDimension,
    limit: u64,
    used: u64,
    after: Option<std::time::Duration>,
) -> No {
    member.count_refused(Reason::Quota(dimension));
    No::Quota(QuotaError::new(member.org, dimension, limit, used, after))
}

impl Tenants {
    /// No more tenants can be remembered.
    pub(crate) fn no_room(&self, org: OrgId) -> QuotaError {
        let most = self.0.most() as u64;
        QuotaError::new(org, QuotaDimension::Tenants, most, most, None)
    }
}
