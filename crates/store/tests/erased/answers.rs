//! Answers under idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{OrgId, SystemClock, UserId};
use stageflow_interceptors::IdempotencyStore as _;
use stageflow_interceptors::idempotency::{Asker, Begun, KeepFor, Kept, Scope};
use stageflow_store::conformance::{HandClock, scope_of};
use stageflow_store::{
    Class, Erasure, ErasureErrorKind, MemoryStore, Scan, SeenTenants, Store, StoredAnswers,
};
use stageflow_testkit::Probe;

use crate::support::{engine, erase, in_files, keys, org, shelf, shop, sqlite, under, user, words};

const LEASE: Duration = Duration::from_secs(30);

/// The receipt counts it, no file has it, and a call under the same key runs anew. Nobody else's goes.
#[tokio::test]
async fn the_answers_of_a_user_go_and_a_later_call_runs_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path());
    let probe = Probe::new();
    let (pipeline, engine) = (
        shop(&probe),
        engine(Arc::new(store.clone()), SystemClock::new()),
    );
    let (org, other, ada, bob) = (org(), org(), user(), user());
    let ask = async |key: &str, org, user| {
        let options = under(key, org, user);
        let report = engine.run(&pipeline, words(user), options).await;
        report.output().unwrap().clone()
    };
    let mut first = Vec::new();
    for (key, org, user) in [("a", org, ada), ("b", org, bob), ("c", other, ada)] {
        first.push(ask(key, org, user).await);
        assert_eq!(
            ask(key, org, user).await,
            first[first.len() - 1],
            "replayed"
        );
    }
    assert_eq!(probe.calls(), 3);
    assert!(
        in_files(folder.path(), ada) > 0,
        "otherwise this says nothing"
    );
    let before = in_files(folder.path(), bob);

    let receipt = erase(store.clone(), org, ada).await.unwrap();
    assert_eq!(receipt.rows(Class::Answers), 1);
    // What is left of ada is another tenant's.
    let receipt = erase(store.clone(), other, ada).await.unwrap();
    assert_eq!(receipt.rows(Class::Answers), 1);
    assert_eq!(in_files(folder.path(), ada), 0);
    assert!(before > 0 && in_files(folder.path(), bob) > 0);

    assert_eq!(ask("b", org, bob).await, first[1], "bob's is there");
    assert_eq!(probe.calls(), 3);
    assert_ne!(ask("a", org, ada).await, first[0]);
    assert_ne!(ask("c", other, ada).await, first[2]);
    assert_eq!(probe.calls(), 5);
    store.close().await;
}

fn scope(key: &str, org: OrgId) -> Scope {
    Scope::new("p", "pay".parse().unwrap(), key.parse().unwrap()).for_org(Some(org))
}

struct Desk {
    answers: StoredAnswers,
    erasure: Erasure,
    store: MemoryStore,
    clock: HandClock,
    org: OrgId,
}

impl Desk {
    fn new() -> Self {
        let (clock, seen, org) = (HandClock::new(), SeenTenants::new(), org());
        let rows = const { std::num::NonZeroUsize::new(1_000).unwrap() };
        let store = MemoryStore::with(rows, clock.clone());
        seen.remember(&scope_of(org, None));
        let kept: Arc<dyn Store> = Arc::new(store.clone());
        Self {
            answers: StoredAnswers::by(kept, &seen, clock.clone()),
            erasure: Erasure::new(store.clone(), keys()).clock(clock.clone()),
            store,
            clock,
            org,
        }
    }

    async fn begin(&self, key: &str, user: UserId) -> Begun {
        let asker = Asker::new().of_user(user);
        let scope = scope(key, self.org);
        self.answers.begin(&scope, &asker, LEASE).await.unwrap()
    }

    async fn rows(&self) -> usize {
        let shelf = shelf(&self.store, self.org).await;
        shelf.scan(Scan::of(Class::Answers)).await.unwrap().len()
    }
}

/// The hold stays: without it, others would do the work a second time.
#[tokio::test]
async fn a_user_whose_work_goes_on_is_not_erased_before_it_ends() {
    let desk = Desk::new();
    let (ada, bob) = (user(), user());
    let Begun::Mine(token) = desk.begin("key", ada).await else {
        panic!("nobody else is at it")
    };
    let scope_ = scope_of(desk.org, None);
    let refused = desk.erasure.erase(&scope_, ada).await.unwrap_err();
    assert_eq!(refused.kind(), ErasureErrorKind::UnderWay);
    assert_eq!(
        refused.to_string(),
        "SF0733: the user is not erased: work of theirs goes on under an idempotency key; stop what they have running and keep \
         them out; call again then"
    );
    assert!(matches!(desk.begin("key", bob).await, Begun::Held(_)));
    // Somebody else's work is no reason.
    desk.erasure.erase(&scope_, bob).await.unwrap();

    let keep = KeepFor::Time(Duration::from_secs(60));
    let kept = Kept::Skipped(words(ada).into());
    let scope = scope("key", desk.org);
    desk.answers
        .finish(&scope, token, kept, keep)
        .await
        .unwrap();
    let receipt = desk.erasure.erase(&scope_, ada).await.unwrap();
    assert_eq!((receipt.rows(Class::Answers), desk.rows().await), (1, 0));
    assert!(matches!(desk.begin("key", bob).await, Begun::Mine(_)));
}

/// A dead holder holds nobody up for longer than its lease.
#[tokio::test]
async fn a_hold_of_the_dead_goes_when_its_lease_is_over() {
    let desk = Desk::new();
    let ada = user();
    desk.begin("key", ada).await;
    desk.clock.advance(30_000);
    let receipt = desk.erasure.erase(&scope_of(desk.org, None), ada).await;
    assert_eq!(receipt.unwrap().rows(Class::Answers), 1);
    assert_eq!(desk.rows().await, 0);
}

/// Also that they asked, and had no answer.
#[tokio::test]
async fn what_was_let_go_goes_too() {
    let desk = Desk::new();
    let ada = user();
    let Begun::Mine(token) = desk.begin("key", ada).await else {
        panic!("nobody else is at it")
    };
    let scope = scope("key", desk.org);
    desk.answers.release(&scope, token).await.unwrap();
    assert_eq!(desk.rows().await, 1);
    let receipt = desk.erasure.erase(&scope_of(desk.org, None), ada).await;
    assert_eq!(receipt.unwrap().rows(Class::Answers), 1);
    assert_eq!(desk.rows().await, 0);
}

/// An answer is that of whoever gave it in the end.
#[tokio::test]
async fn an_answer_is_of_the_one_who_took_over() {
    let desk = Desk::new();
    let (ada, bob) = (user(), user());
    desk.begin("key", ada).await;
    desk.clock.advance(30_000);
    let Begun::Mine(token) = desk.begin("key", bob).await else {
        panic!("ada's lease is over")
    };
    let keep = KeepFor::Time(Duration::from_secs(60));
    let kept = Kept::Skipped(words(bob).into());
    let scope = scope("key", desk.org);
    desk.answers
        .finish(&scope, token, kept, keep)
        .await
        .unwrap();
    let scope_ = scope_of(desk.org, None);
    let adas = desk.erasure.erase(&scope_, ada).await.unwrap();
    assert_eq!(adas.rows(Class::Answers), 0);
    assert!(matches!(desk.begin("key", ada).await, Begun::Done(_)));
    let bobs = desk.erasure.erase(&scope_, bob).await.unwrap();
    assert_eq!(bobs.rows(Class::Answers), 1);
}
