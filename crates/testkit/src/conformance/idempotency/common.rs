//! What the tests have in common.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow_context::{DynValue, Fingerprint};
use stageflow_interceptors::IdempotencyStore;
use stageflow_interceptors::idempotency::{
    Asker, Begun, Finished, KeepFor, Keeps, Kept, Scope, Token,
};

/// Long enough that a busy machine does not let it run out by accident.
pub(super) const LEASE: Duration = Duration::from_secs(1);
/// Nothing here takes so long.
pub(super) const NEVER: Duration = Duration::from_secs(20);

/// What was found: nothing, or what is wrong.
pub(super) type Found = Result<(), String>;

pub(super) fn scope(key: &str) -> Result<Scope, String> {
    let key = key.parse().map_err(|error| format!("{error}"))?;
    let stage = "pay".parse().map_err(|error| format!("{error}"))?;
    Ok(Scope::new("conformance", stage, key))
}

pub(super) fn of(parameters: u64) -> Result<Fingerprint, String> {
    Fingerprint::of(&json!({ "amount": parameters })).map_err(|error| error.to_string())
}

pub(super) fn answer(store: &impl IdempotencyStore, number: u64) -> Kept {
    match store.keeps() {
        Keeps::Values => Kept::Value(DynValue::new(number)),
        _ => Kept::Bytes(Arc::from(number.to_be_bytes())),
    }
}

/// What an answer says, in a form that can be compared.
pub(super) fn told(kept: &Kept) -> String {
    match kept {
        Kept::Value(value) => format!("value {:?}", value.downcast_ref::<u64>()),
        Kept::Bytes(bytes) => match <[u8; 8]>::try_from(&**bytes) {
            Ok(bytes) => format!("value {:?}", Some(u64::from_be_bytes(bytes))),
            Err(_) => format!("other bytes: {bytes:?}"),
        },
        Kept::Failed(error) => format!("failed {error}"),
        Kept::Skipped(reason) => format!("skipped {reason}"),
        other => format!("{other:?}"),
    }
}

pub(super) fn expect<T: fmt::Debug>(what: &str, got: &T, holds: bool) -> Found {
    match holds {
        true => Ok(()),
        false => Err(format!("{what} gave {got:?}")),
    }
}

pub(super) fn text(error: impl fmt::Display) -> String {
    format!("the store failed: {error}")
}

pub(super) async fn begin(store: &impl IdempotencyStore, scope: &Scope) -> Result<Begun, String> {
    store.begin(scope, &Asker::new(), LEASE).await.map_err(text)
}

pub(super) async fn mine(store: &impl IdempotencyStore, scope: &Scope) -> Result<Token, String> {
    match begin(store, scope).await? {
        Begun::Mine(token) => Ok(token),
        other => Err(format!("`begin` gave {other:?} where there is nobody else")),
    }
}

pub(super) async fn finish(
    store: &impl IdempotencyStore,
    scope: &Scope,
    token: Token,
    kept: Kept,
) -> Found {
    let keep = KeepFor::Time(NEVER);
    let finished = store.finish(scope, token, kept, keep).await.map_err(text)?;
    expect("`finish`", &finished, finished == Finished::Kept)
}
