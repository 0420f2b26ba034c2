//! What the tests share.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use stageflow_context::{
    Idempotency, OrgId, SealKey, SealKeys, StageCx, SystemIds, UserId, WallClock,
};
use stageflow_executor::{Engine, RunOptions};
use stageflow_graph::{Pipeline, StageKind, stage_fn};
use stageflow_interceptors::IdempotentWork;
use stageflow_interceptors::idempotency::Codec;
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Erasure, ErasureError, ErasureReceipt, SeenTenants, Shelf, SqliteOptions, SqliteStore, Store,
    StoredAnswers,
};
use stageflow_testkit::Probe;

pub(crate) fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(7, [0x5a; 32]))
}

pub(crate) fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

pub(crate) fn user() -> UserId {
    UserId::generate(&SystemIds::new())
}

/// Words that are theirs only.
pub(crate) fn words(user: UserId) -> String {
    format!("canary{}", &user.as_uuid().simple().to_string()[12..])
}

/// How often their words are in a file below this folder: as they are, or as hex digits, which is how answers are written; and
/// their id, as text or as bytes.
pub(crate) fn in_files(folder: &Path, user: UserId) -> usize {
    let words = words(user);
    let hex: String = words.bytes().map(|byte| format!("{byte:02x}")).collect();
    let all = [
        words.into_bytes(),
        hex.into_bytes(),
        user.to_string().into_bytes(),
        user.as_uuid().simple().to_string().into_bytes(),
        user.as_uuid().as_bytes().to_vec(),
    ];
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            count += in_files(&entry.path(), user);
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        let times = |word: &Vec<u8>| memchr::memmem::find_iter(&bytes, word).count();
        count += all.iter().map(times).sum::<usize>();
    }
    count
}

pub(crate) fn sqlite(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, SqliteOptions::new()).unwrap()
}

pub(crate) async fn shelf(store: &dyn Store, org: OrgId) -> Arc<dyn Shelf> {
    store.open(&scope_of(org, None)).await.unwrap()
}

pub(crate) async fn erase(
    store: impl Store,
    org: OrgId,
    user: UserId,
) -> Result<ErasureReceipt, ErasureError> {
    let erasure = Erasure::new(store, keys());
    erasure.erase(&scope_of(org, None), user).await
}

/// A run of theirs under a key.
pub(crate) fn under(key: &str, org: OrgId, user: UserId) -> RunOptions {
    let request = Idempotency::new(key.parse().unwrap());
    RunOptions::new().org(org).user(user).idempotency(request)
}

/// One stage of work, which answers with what it was given and how often it was called.
pub(crate) fn shop(probe: &Probe) -> Pipeline<String, String> {
    let mut p = Pipeline::builder("shop");
    let words = p.input::<String>();
    let probe = probe.clone();
    let work = stage_fn(move |_: StageCx, words: Arc<String>| {
        let live = probe.enter();
        let number = probe.calls();
        async move {
            live.done();
            Ok(format!("{words} {number}"))
        }
    });
    let pay = p.stage("pay", work).kind(StageKind::Work).after(words);
    p.output(pay).build().unwrap()
}

/// An engine that keeps answers in this store.
pub(crate) fn engine(store: Arc<dyn Store>, wall: impl WallClock + 'static) -> Engine {
    let seen = SeenTenants::new();
    let answers = StoredAnswers::by(store, &seen, wall);
    let layer = IdempotentWork::new(answers).codec(Codec::new().json::<String>());
    Engine::builder().intercept(seen).intercept(layer).build()
}
