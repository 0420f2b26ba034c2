//! Who stands at the door, and what they may do wrong.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stageflow::context::{Budget, BudgetLimits, OrgId};
use stageflow::executor::EngineBuilder;
use stageflow::interceptors::{Admission, Arrival, Pass, Refusal, RefusalKind, async_trait};
use stageflow::tenancy::{TenantAdmission, Tenants};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::Lab;

/// An engine with the registry at its door, or with what is broken in its place. The first of the orgs is the one that storms.
pub(in crate::scenarios) fn keep(
    lab: &Lab,
    engine: EngineBuilder,
    tenants: &Tenants,
    orgs: &[OrgId],
    at_a_time: NonZeroUsize,
) -> EngineBuilder {
    if lab.is_broken("fifo") {
        return engine.admit(Fifo(Arc::new(Semaphore::new(at_a_time.get()))));
    }
    if lab.is_broken("starves-one") {
        return engine.admit(Starves {
            tenants: tenants.clone(),
            storms: orgs[0],
            starves: orgs[1],
        });
    }
    if lab.is_broken("leak") {
        return engine.admit(Leaks(tenants.admission(), AtomicU64::new(0)));
    }
    if lab.is_broken("unmetered") {
        return engine.admit(Elsewhere(tenants.admission()));
    }
    engine.admit(tenants.admission())
}

/// Whoever came first, whoever it is.
struct Fifo(Arc<Semaphore>);

#[async_trait]
impl Admission for Fifo {
    fn name(&self) -> &str {
        "fifo"
    }

    async fn admit(&self, _arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let closed = |error| Refusal::new(RefusalKind::Busy, error);
        permit.map(Pass::holding).map_err(closed)
    }
}

/// The registry; but one of all tenants lets whoever storms go first, for a while.
struct Starves {
    tenants: Tenants,
    storms: OrgId,
    starves: OrgId,
}

impl Starves {
    fn is_storming(&self) -> bool {
        let usage = self.tenants.usage(self.storms);
        usage.is_some_and(|usage| usage.runs.waiting > 0)
    }
}

#[async_trait]
impl Admission for Starves {
    fn name(&self) -> &str {
        "starves-one"
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        if arrival.identity().org_id() == Some(self.starves) {
            for _ in 0..20 {
                if self.is_storming() {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
        self.tenants.admission().admit(arrival).await
    }
}

/// The registry; one pass in two hundred is never given back.
struct Leaks(TenantAdmission, AtomicU64);

#[async_trait]
impl Admission for Leaks {
    fn name(&self) -> &str {
        "leaks"
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        let pass = self.0.admit(arrival).await?;
        if self.1.fetch_add(1, Ordering::SeqCst) % 200 == 199 {
            std::mem::forget(pass);
            return Ok(Pass::free());
        }
        Ok(pass)
    }
}

/// The registry; but what runs use is counted somewhere else.
struct Elsewhere(TenantAdmission);

#[async_trait]
impl Admission for Elsewhere {
    fn name(&self) -> &str {
        "elsewhere"
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        let pass = self.0.admit(arrival).await?;
        arrival.spend_from(Budget::new("elsewhere", BudgetLimits::new()));
        Ok(pass)
    }
}
