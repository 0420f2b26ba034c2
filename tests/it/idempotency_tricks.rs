//! Stores that play tricks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stageflow::context::DynValue;
use stageflow::interceptors::idempotency::{
    Asker, Begun, Finished, KeepFor, Keeps, Kept, Renewed, Scope, StoreError, Token,
};
use stageflow::interceptors::{IdempotencyStore, async_trait};
use stageflow::prelude::*;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// What a store does that is not a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trick {
    /// Never answers to `begin`.
    Hangs,
    /// Never hears that the holder is alive.
    Deaf,
    /// Gives the work to somebody else as soon as it is renewed.
    LosesOnRenewal,
    /// Gives the work to somebody else when it is finished, once.
    LosesOnFinish,
}

/// A store that plays a trick, and the token of the one it gave the work to.
#[derive(Clone)]
pub(crate) struct Tricky {
    inside: MemoryIdempotencyStore,
    trick: Trick,
    intruder: Arc<Mutex<Option<(Scope, Token)>>>,
    times: Arc<AtomicUsize>,
}

impl Tricky {
    pub(crate) fn new(trick: Trick) -> Self {
        Self {
            inside: MemoryIdempotencyStore::new(),
            trick,
            intruder: Arc::default(),
            times: Arc::default(),
        }
    }

    async fn give_away(&self, scope: &Scope, token: Token) {
        self.inside.abandon(scope, token);
        let lease = Duration::from_secs(60);
        let begun = self
            .inside
            .begin(scope, &Asker::new(), lease)
            .await
            .unwrap();
        let Begun::Mine(token) = begun else {
            panic!("{begun:?}")
        };
        *self.intruder.lock().await = Some((scope.clone(), token));
    }

    /// The other one ends: with an answer, or without.
    pub(crate) async fn end(&self, answer: Option<u64>) {
        let intruder = loop {
            if let Some(intruder) = self.intruder.lock().await.take() {
                break intruder;
            }
            sleep(Duration::from_millis(100)).await;
        };
        let (scope, token) = intruder;
        match answer {
            None => self.inside.abandon(&scope, token),
            Some(answer) => {
                let kept = Kept::Value(DynValue::new(answer));
                let keep = KeepFor::Time(Duration::from_secs(60));
                let finished = self.inside.finish(&scope, token, kept, keep).await;
                assert_eq!(finished.unwrap(), Finished::Kept);
            }
        }
    }
}

#[async_trait]
impl IdempotencyStore for Tricky {
    fn keeps(&self) -> Keeps {
        Keeps::Values
    }

    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        if self.trick == Trick::Hangs {
            std::future::pending::<()>().await;
        }
        self.inside.begin(scope, asker, lease).await
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError> {
        match self.trick {
            Trick::Deaf => return Err(StoreError::unavailable("connection reset")),
            Trick::LosesOnRenewal if self.times.fetch_add(1, Ordering::SeqCst) == 0 => {
                self.give_away(scope, token).await;
            }
            _ => {}
        }
        self.inside.renew(scope, token, lease).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        if self.trick == Trick::LosesOnFinish && self.times.fetch_add(1, Ordering::SeqCst) == 0 {
            self.give_away(scope, token).await;
        }
        self.inside.finish(scope, token, kept, keep).await
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError> {
        self.inside.release(scope, token).await
    }

    fn abandon(&self, scope: &Scope, token: Token) {
        self.inside.abandon(scope, token);
    }
}
