//! The conformance tests of stores: what passes, and what they catch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use stageflow::interceptors::idempotency::{
    Asker, Begun, Finished, KeepFor, Keeps, Kept, Renewed, Scope, StoreError, Token,
};
use stageflow::interceptors::{IdempotencyStore, MemoryIdempotencyStore, async_trait};
use stageflow_testkit::{conformance, paused};
use tokio::time::sleep;

/// How a store differs from the one inside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Only slower, and it keeps bytes and polls: still a store.
    Far,
    /// Every org has the same answers.
    AnyOrg,
    /// What was asked for does not matter.
    AnyParameters,
    /// A holder that is dead may still finish.
    AnyToken,
    /// Those who wait are forgotten when the holder lets go.
    NoHandOver,
    /// Whoever asks while somebody is at work is at work, too.
    NoHolder,
}

/// A store in front of another one.
#[derive(Clone)]
pub(crate) struct Odd {
    pub(crate) inside: MemoryIdempotencyStore,
    pub(crate) way: Way,
    /// How often a call fails before one is answered.
    pub(crate) failing: Arc<AtomicU32>,
    pub(crate) broken: Arc<AtomicBool>,
}

impl Odd {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            inside: MemoryIdempotencyStore::new(),
            way,
            failing: Arc::default(),
            broken: Arc::default(),
        }
    }

    async fn pause(&self) -> Result<(), StoreError> {
        if self.way == Way::Far {
            sleep(Duration::from_millis(20)).await;
        }
        let failing = self.failing.load(Ordering::SeqCst);
        self.failing
            .store(failing.saturating_sub(1), Ordering::SeqCst);
        match self.broken.load(Ordering::SeqCst) || failing > 0 {
            true => Err(StoreError::unavailable("connection refused")),
            false => Ok(()),
        }
    }

    fn scope(&self, scope: &Scope) -> Scope {
        match self.way {
            Way::AnyOrg => scope.clone().for_org(None),
            _ => scope.clone(),
        }
    }
}

/// Bytes inside a store of values.
fn inward(kept: &Kept) -> Result<Kept, StoreError> {
    let bytes = kept.to_bytes()?;
    Ok(Kept::Bytes(bytes.into()))
}

fn outward(begun: Begun) -> Result<Begun, StoreError> {
    Ok(match begun {
        Begun::Done(Kept::Bytes(bytes)) => Begun::Done(Kept::from_bytes(&bytes)?),
        other => other,
    })
}

#[async_trait]
impl IdempotencyStore for Odd {
    fn keeps(&self) -> Keeps {
        Keeps::Bytes
    }

    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        self.pause().await?;
        let parameters = asker.parameters.filter(|_| self.way != Way::AnyParameters);
        let asker = asker.clone().with_parameters(parameters);
        let scope = self.scope(scope);
        let begun = outward(self.inside.begin(&scope, &asker, lease).await?)?;
        Ok(match begun {
            Begun::Held(_) if self.way == Way::NoHolder => Begun::Mine(Token::new(u64::MAX)),
            begun => begun,
        })
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError> {
        self.pause().await?;
        self.inside.renew(&self.scope(scope), token, lease).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        self.pause().await?;
        let (scope, kept) = (self.scope(scope), inward(&kept)?);
        let finished = self.inside.finish(&scope, token, kept, keep).await?;
        Ok(match self.way {
            Way::AnyToken => Finished::Kept,
            _ => finished,
        })
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError> {
        self.pause().await?;
        if self.way == Way::NoHandOver {
            let keep = KeepFor::Time(Duration::from_secs(60));
            let kept = Kept::Skipped("let go".into());
            self.inside
                .finish(&self.scope(scope), token, kept, keep)
                .await?;
            return Ok(());
        }
        self.inside.release(&self.scope(scope), token).await
    }
}

#[test]
fn the_store_in_memory_conforms() {
    paused(conformance::idempotency(async || {
        MemoryIdempotencyStore::new()
    }));
}

#[test]
fn a_store_that_is_far_away_keeps_bytes_and_has_to_be_asked_again_conforms() {
    paused(conformance::idempotency(async || Odd::new(Way::Far)));
}

#[test]
fn stores_that_are_broken_in_any_of_these_ways_are_caught() {
    let ways = [
        (Way::AnyOrg, "other orgs"),
        (Way::AnyParameters, "a key belongs to the parameters"),
        (Way::AnyToken, "its token is good for nothing"),
        (Way::NoHandOver, "work that was let go can be begun again"),
        (Way::NoHolder, "one has the work"),
    ];
    for (way, says) in ways {
        let faults = paused(conformance::idempotency_faults(async || Odd::new(way)));
        let said = faults.join("\n");
        assert!(said.contains(says), "{way:?}: {said}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_told_in_every_test() {
    let faults = paused(conformance::idempotency_faults(async || {
        let store = Odd::new(Way::Far);
        store.broken.store(true, Ordering::SeqCst);
        store
    }));
    assert_eq!(faults.len(), 15, "{faults:#?}");
    let told = |fault: &String| fault.contains("SF0701") && fault.contains("connection refused");
    assert!(faults.iter().all(told), "{faults:#?}");
}
