//! All tenants ask under the same keys, and each is given the answers to its own requests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{Idempotency, IdempotencyKey, OrgId};
use stageflow::executor::EngineBuilder;
use stageflow::interceptors::idempotency::{
    Asker, Begun, Codec, Finished, IdempotencyStore, KeepFor, Keeps, Kept, Renewed, Scope,
    StoreError, Token,
};
use stageflow::interceptors::{IdempotentWork, MemoryIdempotencyStore};
use stageflow::prelude::*;
use stageflow_store::{SeenTenants, Store, StoredAnswers};

use super::house::Mistake;
use super::visits::{Luck, Visit, per_org};
use crate::{Breach, Lab, LabError};

/// The key of a request: the same of the n-th run of every tenant, and each tenant uses it again later.
pub(super) fn key(visit: &Visit) -> Result<Idempotency, LabError> {
    let key = format!("request-{}", visit.request);
    let key: IdempotencyKey = key.parse().map_err(LabError::new)?;
    Ok(Idempotency::new(key))
}

/// The engine, with layers that do work once for each key.
pub(super) fn keep(
    engine: EngineBuilder,
    store: Arc<dyn Store>,
    mistake: Mistake,
) -> EngineBuilder {
    let codec = Codec::new().json::<String>();
    if mistake == Mistake::Answers {
        return engine.intercept(IdempotentWork::new(Shared::default()).codec(codec));
    }
    let seen = SeenTenants::new();
    let answers = StoredAnswers::new(store, &seen);
    let once = IdempotentWork::new(answers).codec(codec);
    // On a slow machine a database lets whoever does the work wait long, and none of that is a failure, nor a sign of death.
    let once = once.wait(Duration::from_secs(600));
    let once = once.lease(Duration::from_secs(600));
    engine.intercept(seen).intercept(once)
}

/// Each tenant's work was done, for each of its keys: of one that is given another's answer it is not. What was done more than once,
/// as after a lease that ran out, is counted.
pub(super) fn check(lab: &Lab, visits: &[Visit], done: &HashMap<OrgId, u64>) {
    let gets_there = |visit: &&Visit| visit.luck == Luck::Good && !visit.is_foreign();
    let mut keys = HashSet::new();
    let first = visits.iter().filter(gets_there);
    let first = first.filter(|visit| keys.insert((visit.guest.org, visit.request)));
    let expected = per_org(first);
    lab.metric("answers", "answers", done.values().sum::<u64>() as f64);
    let again = done.iter().map(|(org, n)| {
        let once = expected.get(org).copied().unwrap_or_default();
        n.saturating_sub(once)
    });
    lab.metric("done_again", "answers", again.sum::<u64>() as f64);
    let is_missing = |(org, n): &(&OrgId, &u64)| done.get(*org).is_none_or(|done| done < *n);
    let missing = expected.iter().filter(is_missing).count();
    let law = "what all tenants ask for under the same key is done for each of them";
    lab.check(missing == 0, law, Breach::CrossTenant, || {
        format!(
            "done {} times in place of {}; too seldom for {missing} tenants of {}",
            done.values().sum::<u64>(),
            expected.values().sum::<u64>(),
            expected.len()
        )
    });
}

/// A store that keeps answers by key, whoever asks.
#[derive(Default)]
struct Shared(MemoryIdempotencyStore);

fn nobodys(scope: &Scope) -> Scope {
    scope.clone().for_org(None)
}

#[async_trait]
impl IdempotencyStore for Shared {
    fn keeps(&self) -> Keeps {
        self.0.keeps()
    }

    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        self.0.begin(&nobodys(scope), asker, lease).await
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError> {
        self.0.renew(&nobodys(scope), token, lease).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        self.0.finish(&nobodys(scope), token, kept, keep).await
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError> {
        self.0.release(&nobodys(scope), token).await
    }
}
