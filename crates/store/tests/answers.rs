//! Answers that are kept do what every store of answers must do.

#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stageflow_context::{OrgId, SeededIds, SystemIds, WallClock};
use stageflow_interceptors::IdempotencyStore;
use stageflow_interceptors::idempotency::{
    Asker, Begun, Finished, KeepFor, Kept, Renewed, Scope, StoreError, StoreErrorKind, Token,
};
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    Class, MemoryStore, Scan, SeenTenants, SqliteOptions, SqliteStore, Store, StoredAnswers,
};
use stageflow_testkit::{conformance, paused};
use tokio::time::Instant;

/// Wall time that goes as tokio's clock does.
#[derive(Clone, Copy, Debug)]
struct Together(Instant);

impl Together {
    fn new() -> Self {
        Self(Instant::now())
    }
}

impl WallClock for Together {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + self.0.elapsed()
    }
}

/// The tests speak for nobody, and of orgs that had no run yet. Here nobody is somebody, and everybody was seen.
struct Somebody {
    answers: StoredAnswers,
    seen: SeenTenants,
}

impl Somebody {
    fn of(&self, scope: &Scope) -> Scope {
        let org = scope
            .org()
            .unwrap_or_else(|| OrgId::generate(&SeededIds::new(3)));
        self.seen.remember(&scope_of(org, None));
        scope.clone().for_org(Some(org))
    }
}

#[async_trait::async_trait]
impl IdempotencyStore for Somebody {
    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        self.answers.begin(&self.of(scope), asker, lease).await
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError> {
        self.answers.renew(&self.of(scope), token, lease).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        self.answers
            .finish(&self.of(scope), token, kept, keep)
            .await
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError> {
        self.answers.release(&self.of(scope), token).await
    }
}

#[test]
fn answers_in_memory_are_answers() {
    paused(conformance::idempotency(async || {
        let (seen, wall) = (SeenTenants::new(), Together::new());
        let store = MemoryStore::with(const { std::num::NonZeroUsize::new(1_000).unwrap() }, wall);
        let answers = StoredAnswers::by(Arc::new(store), &seen, wall);
        Somebody { answers, seen }
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_files_are_answers() {
    let folder = tempfile::tempdir().unwrap();
    conformance::idempotency(async || {
        let seen = SeenTenants::new();
        let path = folder
            .path()
            .join(OrgId::generate(&SystemIds::new()).to_string());
        let store = SqliteStore::open(path, SqliteOptions::new()).unwrap();
        let answers = StoredAnswers::new(Arc::new(store), &seen);
        Somebody { answers, seen }
    })
    .await;
}

fn scope(org: Option<OrgId>) -> Scope {
    Scope::new("p", "pay".parse().unwrap(), "key".parse().unwrap()).for_org(org)
}

const LEASE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn what_is_nobodys_and_what_is_an_orgs_without_a_run_is_refused() {
    let seen = SeenTenants::new();
    let store = MemoryStore::new();
    let answers = StoredAnswers::new(Arc::new(store.clone()), &seen);
    let (ours, theirs) = (
        OrgId::generate(&SystemIds::new()),
        OrgId::generate(&SystemIds::new()),
    );
    seen.remember(&scope_of(ours, None));
    for org in [None, Some(theirs)] {
        let refused = answers
            .begin(&scope(org), &Asker::new(), LEASE)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), &StoreErrorKind::Unavailable);
        assert!(refused.to_string().contains("SF0716"), "{refused}");
    }
    assert!(matches!(
        answers
            .begin(&scope(Some(ours)), &Asker::new(), LEASE)
            .await,
        Ok(Begun::Mine(_))
    ));
    let shelf = store.open(&scope_of(theirs, None)).await.unwrap();
    assert!(
        shelf
            .scan(Scan::of(Class::Answers))
            .await
            .unwrap()
            .is_empty()
    );
}

/// Also of a day ago, when nothing is left of the work that was let go.
#[tokio::test(start_paused = true)]
async fn tokens_grow_also_when_their_rows_are_gone() {
    let (seen, wall) = (SeenTenants::new(), Together::new());
    let rows = const { std::num::NonZeroUsize::new(10).unwrap() };
    let store = MemoryStore::with(rows, wall);
    let answers = StoredAnswers::by(Arc::new(store), &seen, wall);
    let org = OrgId::generate(&SystemIds::new());
    seen.remember(&scope_of(org, None));
    let scope = scope(Some(org));
    let mut last = None;
    for days in [0, 0, 0, 2, 3] {
        tokio::time::sleep(Duration::from_secs(days * 86_400)).await;
        let begun = answers.begin(&scope, &Asker::new(), LEASE).await.unwrap();
        let Begun::Mine(token) = begun else {
            panic!("{begun:?}")
        };
        assert!(Some(token) > last);
        last = Some(token);
        answers.release(&scope, token).await.unwrap();
    }
}
