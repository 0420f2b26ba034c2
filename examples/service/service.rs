//! The service without its HTTP: an engine with a door, the layer that decides, the quotas, and where it is told.

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use stageflow::auth::{
    Authenticate, Authenticator, Authorize, OrgOnly, PolicyEngine, Rbac, RbacError, Role, Scopes,
    all_of, any_of,
};
use stageflow::context::{CorrelationId, RunId, SealKeys, UserId};
use stageflow::events::Journal;
use stageflow::executor::{EngineBuilder, Run};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier};
use stageflow_store::{AuditSink, Erasure, StoreSink};

use crate::BoxError;
use crate::database::Database;
use crate::problem::Problem;
use crate::refusals::Refusals;
use crate::underway::{Awaited, Underway, whose};
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
    /// Where it is told who was refused at the door.
    pub(crate) refusals: Arc<Refusals>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) door: Authenticate,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) work: Work,
    engine: Engine,
    underway: Arc<Underway>,
    erasure: Erasure,
    tenants: Tenants,
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
            refusals,
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
        let told = Arc::clone(&refusals);
        let door = Authenticate::with(authenticator)
            .on_failure(move |refused| told.note(refused.payload()));
        Ok(Arc::new(Self {
            door,
            refusals,
            work: Work::new(database.clone(), tenants.clone(), Arc::clone(&keys))?,
            engine,
            underway: Arc::default(),
            erasure: Erasure::new(database.clone(), keys),
            tenants,
            database,
            kept,
            audited,
        }))
    }

    /// Begins something for somebody, who awaits it.
    pub(crate) fn begin<'a, I, O>(
        &'a self,
        pipeline: &'a Pipeline<I, O>,
        input: I,
        caller: Caller,
    ) -> Result<(Run<'a, O>, Option<Awaited<'a>>), Problem>
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static,
    {
        let whose = whose(&caller.0);
        let options = self.underway.options(caller.0)?;
        let run = self.engine.run(pipeline, input, options);
        let awaited = self.underway.awaited(whose, run.handle());
        Ok((run, awaited))
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
        let (run, _awaited) = self.begin(pipeline, input, caller)?;
        Done::of(Box::pin(run).await)
    }

    /// Erases a user of the caller's org, if the caller may. First what the user has running is stopped, and what was told of it is
    /// written down; nothing of theirs begins meanwhile. It is not part of a run: that might be one of the user's own.
    pub(crate) async fn erase(&self, user: UserId, caller: Caller) -> Result<String, Problem> {
        let org = caller.0.org();
        // Of those who erase themselves nothing stays, not even this.
        let is_own = caller.0.user() == Some(user);
        let by = (!is_own).then(|| caller.0.subject().to_owned());
        self.run(&self.work.erase, user, caller).await?;
        let _barred = self.underway.stop((org, user)).await;
        tokio::join!(self.kept.flush(), self.audited.flush());
        let scope = self.tenants.enter(org).map_err(Problem::of_error)?;
        let erasure = match by {
            Some(by) => self.erasure.clone().by(by),
            None => self.erasure.clone(),
        };
        let receipt = Box::pin(erasure.erase(&scope, user)).await;
        Ok(receipt.map_err(Problem::of_error)?.to_json())
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

    pub(crate) fn erasure(&self) -> &Erasure {
        &self.erasure
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
