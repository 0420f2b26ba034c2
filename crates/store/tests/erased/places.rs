//! Every place in which engines leave something, at once.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::{ContextSnapshot, OrgId, StageCx, Stop, UserId};
use stageflow_events::{
    BoundedSink, Entry, EventSink as _, ExportError, Exporter, FanOut, Journal, JournalOptions,
    Spill, SpillOptions, Stopping, journal,
};
use stageflow_executor::{AtDeadline, Engine, RunOptions, approval};
use stageflow_graph::{Pipeline, StageKind, stage_fn};
use stageflow_interceptors::IdempotentWork;
use stageflow_interceptors::idempotency::Codec;
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    AuditSink, AuditTrail, Class, Documents, Erasure, Row, SeenTenants, SqliteStore, Store,
    StoreSink, StoredAnswers, StoredApprovals, Write,
};
use stageflow_tenancy::TenantScope;

use crate::support::{in_files, keys, org, shelf, sqlite, under, user, words};

const LIMIT: Duration = Duration::from_secs(20);

/// Takes all, and keeps nothing.
struct Gone;

#[async_trait]
impl Exporter for Gone {
    async fn export(&mut self, _: &[Entry]) -> Result<(), ExportError> {
        Ok(())
    }
}

/// Leaves their words everywhere: an answer, a document, events, an entry in the trail, a checkpoint, a request, a failure.
fn errand(store: &SqliteStore) -> Pipeline<String, String> {
    let mut p = Pipeline::builder("errand");
    let input = p.input::<String>();
    let pay = stage_fn(async |cx: StageCx, words: Arc<String>| {
        cx.try_emit("docs.paid", json!({ "for": *words }))?;
        cx.try_emit("audit.paid", json!({ "by": *words, "reason": *words }))?;
        Ok::<_, Stop>((*words).clone())
    });
    let paid = p.stage("pay", pay).kind(StageKind::Work).after(input);
    let store = store.clone();
    let keep = stage_fn(move |cx: StageCx, words: Arc<String>| {
        let store = store.clone();
        async move {
            let scope = TenantScope::of(&cx)?;
            let user = scope.user().ok_or_else(|| Stop::fail("for nobody"))?;
            let documents = Documents::open(&store, &scope).await?;
            documents.of(user).put("said", &json!(*words)).await?;
            // A checkpoint: sealed, and kept as a row of the program's own.
            let snapshot = ContextSnapshot::new(cx.host().identity().clone());
            let sealed = snapshot.with_input_text(words.as_str()).seal(&keys())?;
            let body = json!(sealed.into_bytes()).to_string();
            let row = Row::new(format!("checkpoint/{}", cx.run_id()), 1, body).about(user);
            let (class, shelf) = (Class::Upkeep, store.open(&scope).await?);
            shelf.commit(vec![Write::Put { class, row }]).await?;
            Ok((*words).clone())
        }
    });
    let kept = p.stage("keep", keep).after(paid);
    let gate = approval().deadline(Duration::from_millis(1), AtDeadline::Approve);
    let signed = p.stage("sign", gate).after(kept);
    let fail = stage_fn(async |_: StageCx, words: Arc<String>| {
        Err::<String, _>(Stop::fail(format!("no such account: {words}")))
    });
    let ended = p.stage("fail", fail).after(signed);
    p.output(ended).build().unwrap()
}

/// Runs for both, with every sink there is; all sinks are closed then.
async fn leave(folder: &Path, store: &SqliteStore, org: OrgId, users: [UserId; 2]) {
    let kept: Arc<dyn Store> = Arc::new(store.clone());
    let seen = SeenTenants::new();
    let answers = StoredAnswers::new(Arc::clone(&kept), &seen);
    let approvals = StoredApprovals::new(Arc::clone(&kept), &seen);
    let journal = |name: &str| Journal::create(JournalOptions::new(folder.join(name))).unwrap();
    let audit = AuditSink::start(Arc::clone(&kept), keys(), journal("operator"));
    let events = StoreSink::start(Arc::clone(&kept));
    let journal = BoundedSink::builder(journal("journal")).start();
    let spill = Spill::open(&SpillOptions::new(folder.join("spill"))).unwrap();
    let few = NonZeroUsize::MIN;
    // Nobody takes anything out before it is told to: what has no room waits on the disk.
    let (late, pump) = BoundedSink::builder(Gone)
        .capacity(few)
        .overflow(spill)
        .build();
    let sinks = FanOut::new()
        .to("audit", audit.clone())
        .to("events", events.clone())
        .to("journal", journal.clone())
        .to("late", late.clone());
    let engine = Engine::builder()
        .intercept(seen)
        .intercept(IdempotentWork::new(answers).codec(Codec::new().json::<String>()))
        .approvals(approvals.clone())
        .events(sinks)
        .build();
    let pipeline = errand(store);
    for user in users {
        let key = format!("of-{}", words(user));
        let report = engine.run(&pipeline, words(user), under(&key, org, user));
        assert!(report.await.error().is_some());
    }
    approvals.flush().await.unwrap();
    assert!(in_files(&folder.join("spill"), users[0]) > 0);
    tokio::join!(pump, late.stop(Stopping::Drain, LIMIT));
    assert_eq!(in_files(&folder.join("spill"), users[0]), 0, "delivered");
    for sink in [
        &audit as &dyn stageflow_events::EventSink,
        &events,
        &journal,
    ] {
        sink.close(Stopping::Drain, LIMIT).await;
    }
}

#[tokio::test]
async fn nothing_is_left_in_any_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = sqlite(&path.join("store"));
    let (org, ada, bob) = (org(), user(), user());
    leave(path, &store, org, [ada, bob]).await;
    let bobs = in_files(&path.join("journal"), bob);
    assert!(in_files(path, ada) > 0 && bobs > 0);
    let of_org = shelf(&store, org).await;
    let trail = AuditTrail::new(Arc::clone(&of_org), keys());
    let anchor = trail.head().await.unwrap();

    let erasure = Erasure::new(store.clone(), keys()).journal(path.join("journal"));
    let scope = scope_of(org, None);
    let receipt = erasure.erase(&scope, ada).await.unwrap();
    assert_eq!(in_files(path, ada), 0);
    for class in Class::ALL {
        assert!(receipt.rows(class) > 0, "nothing of {}", class.as_str());
    }
    assert!(receipt.journal_records() > 0);
    assert_eq!(in_files(&path.join("journal"), bob), bobs);
    assert!(in_files(&path.join("store"), bob) > 0);
    // What happened is known still.
    trail.verify_to(&anchor).await.unwrap();
    journal::verify(path.join("journal")).unwrap();
    erasure.verify(&scope, ada, &receipt).await.unwrap();
    store.close().await;
    assert_eq!(in_files(path, ada), 0, "nor does closing bring it back");
}

/// What a sink delivers after the erasure is a row like any other, and the receipt says so when it is looked at again.
#[tokio::test]
async fn what_a_sink_still_has_comes_in_late_and_the_receipt_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path());
    let (org, ada) = (org(), user());
    let sink = StoreSink::shaped(Arc::new(store.clone()), |builder| {
        builder
            .linger(Duration::from_secs(3_600))
            .batch(NonZeroUsize::new(1_000).unwrap())
    });
    let engine = Engine::builder().events(sink.clone()).build();
    let mut p = Pipeline::builder("say");
    let input = p.input::<String>();
    let say = stage_fn(async |cx: StageCx, words: Arc<String>| {
        cx.try_emit("docs.said", json!(*words))?;
        Ok::<_, Stop>(())
    });
    let said = p.stage("say", say).after(input);
    let pipeline = p.output(said).build().unwrap();
    let options = RunOptions::new().org(org).user(ada);
    engine.run(&pipeline, words(ada), options).await;

    let erasure = Erasure::new(store.clone(), keys());
    let scope = scope_of(org, None);
    let early = erasure.erase(&scope, ada).await.unwrap();
    sink.close(Stopping::Drain, LIMIT).await;
    let left = erasure.verify(&scope, ada, &early).await.unwrap_err();
    assert_eq!(left.kind(), stageflow_store::ReceiptErrorKind::Left);
    let late = erasure.erase(&scope, ada).await.unwrap();
    assert!(late.rows(Class::Events) > 0 && in_files(folder.path(), ada) == 0);
    erasure.verify(&scope, ada, &late).await.unwrap();
    store.close().await;
}
