//! What stages say whose answers cannot be kept, found or read.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::interceptors::IdempotencyStore;
use stageflow::interceptors::idempotency::{
    Asker, Begun, Finished, KeepFor, Keeps, Kept, Renewed, Scope, StoreError, Token,
};
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

/// What comes of each attempt to begin.
struct Says(fn() -> Result<Begun, StoreError>, Keeps);

#[async_trait]
impl IdempotencyStore for Says {
    fn keeps(&self) -> Keeps {
        self.1
    }

    async fn begin(&self, _: &Scope, _: &Asker, _: Duration) -> Result<Begun, StoreError> {
        (self.0)()
    }

    async fn renew(&self, _: &Scope, _: Token, _: Duration) -> Result<Renewed, StoreError> {
        Ok(Renewed::Yes)
    }

    async fn finish(
        &self,
        _: &Scope,
        _: Token,
        _: Kept,
        _: KeepFor,
    ) -> Result<Finished, StoreError> {
        Ok(Finished::Kept)
    }

    async fn release(&self, _: &Scope, _: Token) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The store's error, under that of the stage.
fn sample(store: impl IdempotencyStore) -> Sample {
    let mut p = Pipeline::builder("checkout");
    let key = p.input::<String>();
    let stage = script::ok::<Arc<String>, u64>(1);
    let paid = p.stage("pay", stage).kind(StageKind::Work).after(key);
    let pipeline = p.output(paid).build().unwrap();
    let engine = Engine::builder().intercept(IdempotentWork::new(store));
    let request = Idempotency::new(CANARY.parse().unwrap());
    let options = RunOptions::new().idempotency(request);
    let engine = engine.build();
    let report = paused(async { engine.run(&pipeline, CANARY.to_owned(), options).await });
    let error = report.errors()[0].clone();
    let cause = std::error::Error::source(&error).unwrap();
    let cause = cause.downcast_ref::<StoreError>().unwrap();
    let kind = kind_name("StoreErrorKind", cause.kind());
    Sample::of("StoreError", &kind, cause.code(), cause).beside_a_secret()
}

pub(super) fn samples() -> Vec<Sample> {
    let refused = || Err(StoreError::unavailable("connection refused"));
    let full = || Err(StoreError::full(NonZeroUsize::MIN.get()));
    let other = || {
        Ok(Begun::Done(Kept::Value(stageflow::context::DynValue::new(
            (),
        ))))
    };
    vec![
        sample(Says(refused, Keeps::Values))
            .names(["idempotency"])
            .facts(["connection refused"]),
        sample(Says(full, Keeps::Values))
            .names(["idempotency"])
            .facts(["1 entries"]),
        sample(Says(full, Keeps::Bytes))
            .names(["u64"])
            .facts(["codec"]),
        unread(other),
    ]
}

/// A replay of another type is an error of the stage: the cause is read off it.
fn unread(other: fn() -> Result<Begun, StoreError>) -> Sample {
    sample(Says(other, Keeps::Values))
        .names(["idempotency"])
        .facts(["u64"])
}
