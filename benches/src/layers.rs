//! A chain of stages in an engine with one layer.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use stageflow::auth::{Authorize, OrgOnly, Principal, Rbac, Role, all_of};
use stageflow::context::{OrgId, SystemIds};
use stageflow::executor::EngineBuilder;
use stageflow::interceptors::{
    Admission, Arrival, Bulkhead, Cache, IdempotentWork, MemoryIdempotencyStore, On, Pass, Phase,
    RateLimit, Refusal,
};
use stageflow::prelude::*;

use crate::harness::Batch;

/// What goes around the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nothing,
    /// A layer, but around another stage.
    Elsewhere,
    /// A hook that does nothing on the way in, and nothing on the way out.
    Hook,
    /// A layer that may wait, and does not.
    Around,
    Timeout,
    Retry,
    Breaker,
    BreakerByRate,
    Rate,
    Bulkhead,
    /// Idempotent work without a key.
    Keyless,
    /// A cache that has the value.
    CacheHit,
    /// Failures on purpose, with a chance of none.
    Chaos,
    /// No layer, but somebody who is let in.
    LetIn,
    /// Somebody decides about stages, which require nothing.
    Unasked,
    /// Somebody decides about each stage, and that is told.
    Permitted,
}

/// So many stages has the chain.
pub(crate) const STAGES: usize = 100;

/// Runs the chain, with its layer.
pub(crate) fn chain(kind: Kind) -> Batch {
    let ada = Principal::new("ada", OrgId::generate(&SystemIds::new())).with_role("reader");
    let mut engine = with(kind, Engine::builder());
    if is_for_somebody(kind) {
        engine = engine.admit(Door(ada));
    }
    let engine = engine.build();
    let pipeline = pipeline(kind);
    Arc::new(move |count| {
        let (engine, pipeline) = (engine.clone(), pipeline.clone());
        Box::pin(async move {
            for _ in 0..count {
                let report = engine.run(&pipeline, 0, RunOptions::new()).await;
                assert!(report.is_success(), "{report:?}");
            }
        })
    })
}

/// What an engine does for somebody without this layer.
pub(crate) fn without(kind: Kind) -> Kind {
    match kind {
        Kind::Unasked | Kind::Permitted => Kind::LetIn,
        _ => Kind::Nothing,
    }
}

fn is_for_somebody(kind: Kind) -> bool {
    matches!(kind, Kind::LetIn | Kind::Unasked | Kind::Permitted)
}

fn with(kind: Kind, engine: EngineBuilder) -> EngineBuilder {
    const MANY: NonZeroU32 = NonZeroU32::MAX;
    const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
    const ENTRIES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
    let minute = Duration::from_secs(60);
    match kind {
        Kind::Nothing | Kind::LetIn => engine,
        Kind::Elsewhere => engine.intercept_on(On::stage("elsewhere"), Timeout::attempt(minute)),
        Kind::Hook => engine.intercept(Idle),
        Kind::Around => engine.intercept(PassOn),
        Kind::Timeout => engine.intercept(Timeout::attempt(minute)),
        Kind::Retry => engine.intercept(Retry::exponential(3)),
        Kind::Breaker => engine.intercept(Breaker::consecutive(FIVE)),
        Kind::BreakerByRate => engine.intercept(Breaker::rate(Percent::of::<50>(), minute, FIVE)),
        Kind::Rate => engine.intercept(RateLimit::per_second(MANY)),
        Kind::Bulkhead => engine.intercept(Bulkhead::new(ENTRIES)),
        Kind::Keyless => engine.intercept(IdempotentWork::new(MemoryIdempotencyStore::new())),
        Kind::CacheHit => engine.intercept(Cache::new(ENTRIES)),
        Kind::Chaos => engine.intercept(Chaos::new(1).errors(Chance::NEVER)),
        Kind::Unasked | Kind::Permitted => engine.intercept(authorize()),
    }
}

fn pipeline(kind: Kind) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("layers");
    let mut last = p.input::<u64>();
    for stage in 0..STAGES {
        let body = stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1));
        let built = p.stage(format!("s{stage}"), body);
        last = match kind {
            Kind::CacheHit => built.cached().after(last),
            Kind::Keyless => built.kind(StageKind::Work).after(last),
            Kind::Permitted => built.require("kb:read").after(last),
            _ => built.after(last),
        };
    }
    match p.output(last).build() {
        Ok(pipeline) => pipeline,
        Err(error) => unreachable!("{error}"),
    }
}

fn authorize() -> Authorize {
    match Rbac::new([Role::new("reader").permits("kb:read")]) {
        Ok(rbac) => Authorize::new(all_of(rbac).and(OrgOnly)),
        Err(error) => unreachable!("{error}"),
    }
}

/// Lets everybody in as this one.
struct Door(Principal);

#[async_trait]
impl Admission for Door {
    fn name(&self) -> &str {
        "door"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        arrival.belongs_to(self.0.org(), None);
        arrival.attach(self.0.clone());
        Ok(Pass::free())
    }
}

struct Idle;

impl Hook for Idle {
    fn name(&self) -> &str {
        "idle"
    }
}

struct PassOn;

#[async_trait]
impl Around for PassOn {
    fn name(&self) -> &str {
        "pass-on"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}
