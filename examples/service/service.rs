//! The service without its HTTP: an engine with a door, the layer that decides, the quotas, and where it is told.

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use stageflow::auth::{
    Authenticate, Authenticator, Authorize, OrgOnly, PolicyEngine, Rbac, RbacError, Role, Scopes,
    all_of, any_of,
};
use stageflow::context::{CorrelationId, RunId, SealKeys};
use stageflow::events::Journal;
use stageflow::executor::EngineBuilder;
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier};
use stageflow_store::{AuditSink, StoreSink};

use crate::BoxError;
use crate::database::Database;
use crate::problem::Problem;
use crate::who::Caller;
use crate::work::Work;

/// How long a request may take, unless the engine says otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What a service is made of.
pub(crate) struct Parts {
    /// What else goes around stages, and how long runs may take.
    pub(crate) engine: EngineBuilder,
    pub(crate) database: Database,
    pub(crate) tenants: Tenants,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) policy: Arc<dyn PolicyEngine>,
    pub(crate) keys: Arc<SealKeys>,
    /// Where it is told what belongs to no tenant.
    pub(crate) operator: Journal,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) door: Authenticate,
    pub(crate) work: Work,
    database: Database,
    kept: StoreSink,
    audited: AuditSink,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Done<O> {
    pub(crate) output: Arc<O>,
    pub(crate) run: RunId,
    pub(crate) correlation: CorrelationId,
}

impl Service {
    /// Starts it.
    pub(crate) fn start(parts: Parts) -> Result<Arc<Self>, BoxError> {
        let Parts {
            engine,
            database,
            tenants,
            authenticator,
            policy,
            keys,
            operator,
        } = parts;
        let store = Arc::new(database.clone());
        let kept = StoreSink::start(Arc::clone(&store) as _);
        let audited = AuditSink::start(store, Arc::clone(&keys), operator);
        let told = FanOut::new()
            .to("store", kept.clone())
            .to("audit", audited.clone())
            .to("log", TracingSink::new());
        let engine = engine
            .admit(Authenticate::with(Arc::clone(&authenticator))) // who it is
            .admit(tenants.admission()) // whether there is room for them
            .intercept(Authorize::new(policy)) // what they may do
            .intercept(tenants.stages())
            .events(tenants.meter(told))
            .try_build()?;
        Ok(Arc::new(Self {
            engine,
            door: Authenticate::with(authenticator),
            work: Work::new(database.clone(), tenants, keys)?,
            database,
            kept,
            audited,
        }))
    }

    /// What every run of this caller starts with.
    pub(crate) fn options(caller: Caller) -> RunOptions {
        RunOptions::new().attach(caller.0)
    }

    /// Does something for somebody. Dropped, it stops.
    pub(crate) async fn run<I, O>(
        &self,
        pipeline: &Pipeline<I, O>,
        input: I,
        caller: Caller,
    ) -> Result<Done<O>, Problem>
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static,
    {
        let run = self.engine.run(pipeline, input, Self::options(caller));
        Done::of(Box::pin(run).await)
    }

    /// Ends it: what runs has this long, then what was told is written down, then the database is closed.
    pub(crate) async fn stop(&self, grace: Duration) {
        let ended = self.engine.shutdown(grace).await;
        if !ended.is_clean() {
            tracing::error!(target: "service", "{ended}");
        }
        let (kept, audited) = tokio::join!(
            self.kept.close(Stopping::Drain, grace),
            self.audited.close(Stopping::Drain, grace),
        );
        for sink in kept.iter().chain(&audited) {
            let lost = sink.counts.discarded;
            if lost > 0 {
                tracing::error!(target: "service", sink = %sink.name, lost, "events were not kept");
            }
        }
        self.database.close().await;
    }
}

#[cfg(test)]
impl Service {
    /// Waits until runs are over, and what was told is written down.
    pub(crate) async fn settled(&self) {
        self.engine.settled().await;
        tokio::join!(self.kept.flush(), self.audited.flush());
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) async fn close_database(&self) {
        self.database.close().await;
    }
}

impl<O: Send + Sync + 'static> Done<O> {
    /// What a run gave, or why it gave nothing.
    pub(crate) fn of(report: RunReport<O>) -> Result<Self, Problem> {
        let (run, correlation) = (report.id(), report.identity().correlation_id());
        match report.into_output() {
            Ok(output) => Ok(Self {
                output,
                run,
                correlation,
            }),
            Err(error) => Err(Problem::of_run(run, &error)),
        }
    }
}

/// What a token allows: what its scopes say, and for administrators some more; with what is their own org's, and nothing else.
pub(crate) fn policy() -> Result<impl PolicyEngine, RbacError> {
    let admin = Role::new("admin")
        .permits("audit:read")
        .permits("usage:read")
        .permits("users:erase");
    Ok(all_of(any_of(Scopes).or(Rbac::new([admin])?)).and(OrgOnly))
}

/// The same, if these policies permit it as well: a file can take away what a token allows, and adds nothing to it.
#[cfg(feature = "cedar")]
pub(crate) fn policy_with(cedar: &str) -> Result<impl PolicyEngine, BoxError> {
    let cedar = stageflow::auth::CedarPolicy::new(cedar)?;
    Ok(all_of(policy()?).and(cedar))
}

/// What tenants of the two tiers may have.
pub(crate) fn tiers() -> [Tier; 2] {
    const FOUR: NonZeroU16 = NonZeroU16::new(4).unwrap();
    const RUNS: [NonZeroUsize; 2] = [
        NonZeroUsize::new(2).unwrap(),
        NonZeroUsize::new(16).unwrap(),
    ];
    const RATES: [NonZeroU32; 2] = [NonZeroU32::new(5).unwrap(), NonZeroU32::new(100).unwrap()];
    const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
    let free = Quota::new().runs(RUNS[0]).runs_per_second(RATES[0]);
    let pro = Quota::new().runs(RUNS[1]).runs_per_second(RATES[1]);
    [
        Tier::new("free").quota(free.burst(BURST).wait_up_to(Duration::from_secs(5))),
        Tier::new("pro").weight(FOUR).quota(pro),
    ]
}
