//! What a trail cannot take: its neighbours are taken, and it goes to the operator, whole, and is counted.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stageflow_context::{AuditArea, AuditNotice, OrgId};
use stageflow_events::{
    Batch, Entry, Event, EventKind, EventRecord, EventSink as _, ExportError, ExportErrorKind,
    Exporter, Spill, SpillOptions, Stopping,
};
use stageflow_store::{AuditDraft, AuditSink, AuditTrail, Class, Decision, Row, Store as _};

use crate::new_store;
use crate::support::{AnyStore, Breaking, delete, header, keys, org, put, scope, user};

/// Writes down what the operator is given; or refuses it.
#[derive(Clone, Default)]
struct Operator {
    given: Arc<Mutex<Vec<Arc<EventRecord>>>>,
    refuses: bool,
}

#[async_trait]
impl Exporter for Operator {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        if self.refuses {
            return Err(ExportError::new(ExportErrorKind::Permanent, "no"));
        }
        let records = entries.iter().map(Entry::record);
        self.given.lock().unwrap().extend(records);
        Ok(())
    }
}

impl Operator {
    fn seqs(&self) -> Vec<u64> {
        let given = self.given.lock().unwrap();
        given.iter().map(|record| record.seq).collect()
    }
}

/// More than a row holds, in words.
fn large() -> String {
    "the moon is large, ".repeat(500_000)
}

fn login(payload: Value) -> EventKind {
    EventKind::Audit(Box::new(AuditNotice::new(
        AuditArea::Auth,
        "login",
        payload,
    )))
}

fn batch(org: OrgId, payloads: Vec<Value>) -> Batch {
    let events = (0..).zip(payloads);
    let events = events.map(|(seq, payload)| Event::new(seq, seq, login(payload)));
    Batch::new(header(org, user()), events.collect())
}

/// Events that were kept on disk when their process ended: a runtime of their own.
fn leave_on_disk(store: &AnyStore, folder: &Path, batch: Batch) {
    let broken = Arc::new(Breaking::after(store, 0));
    let spill = Spill::open(&SpillOptions::new(folder)).unwrap();
    let live = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(async {
            let sink = AuditSink::shaped(broken, keys(), Operator::default(), |builder| {
                builder.overflow(spill)
            });
            let events = batch.events.len() as u64;
            let _ = sink.emit(batch).await;
            sink.close(Stopping::Drain, Duration::from_millis(50)).await;
            assert_eq!(sink.counts().on_disk, events);
        });
    };
    thread::scope(|process| process.spawn(live).join().unwrap());
}

async fn stop(sink: &AuditSink) {
    sink.close(Stopping::Drain, Duration::from_mins(2)).await;
    let counts = sink.counts();
    let ended = counts.delivered + counts.failed + counts.discarded;
    assert_eq!(counts.offered, counts.dropped + ended, "{counts:?}");
}

async fn trail(store: &AnyStore, org: OrgId) -> AuditTrail {
    AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys())
}

#[tokio::test]
async fn a_large_detail_is_told_by_its_length_and_its_sum() {
    let (store, org, operator) = (new_store(), org(), Operator::default());
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    let too_large = json!({ "said": large(), "subject": "ada" });
    let all = vec![json!({ "n": 0 }), too_large, json!({ "n": 2 })];
    assert_eq!(sink.emit(batch(org, all)).await.accepted, 3);
    stop(&sink).await;
    assert_eq!((sink.counts().delivered, sink.strays()), (3, 0));
    assert!(operator.seqs().is_empty());

    let trail = trail(&store, org).await;
    assert_eq!(trail.verify().await.unwrap().entries, 3);
    let entry = trail.entry(2).await.unwrap().unwrap();
    assert_eq!(
        (&*entry.what, entry.decision),
        ("auth.login", Some(Decision::Allowed))
    );
    let detail = entry.detail.unwrap();
    assert_eq!(detail.who.as_deref(), Some("ada"));
    let mark = &detail.details["too_large"];
    let length = json!({ "said": large(), "subject": "ada" })
        .to_string()
        .len();
    assert_eq!(mark["bytes"], length);
    assert!(mark["sum"].as_str().unwrap().starts_with("sha256:"));
    // And once, like all others.
    let draft = || AuditDraft::new("auth.login").details(json!(large()));
    let why = || draft().because("y".repeat(9 << 20)).by("x".repeat(9 << 20));
    assert_eq!(trail.append(vec![draft(), why()]).await.unwrap(), 2);
    trail.verify().await.unwrap();
}

/// Somebody has planted a row where the source of one of them goes.
#[tokio::test]
async fn one_that_cannot_be_kept_takes_no_neighbours_with_it() {
    let (store, org, operator) = (new_store(), org(), Operator::default());
    let shelf = store.open(&scope(org)).await.unwrap();
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    let batch = batch(org, (0..5).map(|n| json!({ "n": n })).collect());
    let EventRecord {
        run_id, time_us, ..
    } = EventRecord::new(&batch.run, &batch.events[3]);
    let planted = format!("s/{run_id}.3.{time_us:x}");
    put(&*shelf, Class::Audit, Row::new(&*planted, 1, "999")).await;
    let _ = sink.emit(batch).await;
    stop(&sink).await;
    assert_eq!((sink.counts().delivered, sink.strays()), (5, 1));
    assert_eq!(operator.seqs(), [3]);
    delete(&*shelf, Class::Audit, &planted).await;
    let trail = trail(&store, org).await;
    assert_eq!(trail.verify().await.unwrap().entries, 4);
}

/// After a crash: what a disk kept meanwhile has no envelope, and so no way into a store.
#[tokio::test]
async fn what_has_no_envelope_is_the_operators_until_its_org_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (store, org, operator) = (new_store(), org(), Operator::default());
    let three = batch(org, (0..3).map(|n| json!({ "n": n })).collect());
    leave_on_disk(&store, folder.path(), three);

    let spill = Spill::open(&SpillOptions::new(folder.path())).unwrap();
    let after = Arc::new(store.clone());
    let sink = AuditSink::shaped(after, keys(), operator.clone(), |builder| {
        builder.overflow(spill)
    });
    sink.flush().await;
    assert_eq!((sink.strays(), operator.seqs()), (3, vec![0, 1, 2]));
    let _ = sink.emit(batch(org, vec![json!({})])).await;
    stop(&sink).await;
    assert_eq!((sink.strays(), sink.counts().delivered), (3, 4));
    let trail = trail(&store, org).await;
    assert_eq!(trail.verify().await.unwrap().entries, 1);
}

/// A trail that was altered takes nothing more, and nothing is lost for that.
#[tokio::test]
async fn what_an_altered_trail_does_not_take_is_the_operators() {
    let (store, org) = (new_store(), org());
    let shelf = store.open(&scope(org)).await.unwrap();
    let (class, junk) = (Class::Audit, format!("e/{:020}", 2));
    let first = vec![AuditDraft::new("auth.login")];
    trail(&store, org).await.append(first).await.unwrap();
    put(&*shelf, class, Row::new(&*junk, 1, "{}")).await;
    for refuses in [false, true] {
        let operator = Operator {
            refuses,
            ..Operator::default()
        };
        let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
        let all = vec![json!({}), json!({})];
        let _ = sink.emit(batch(org, all)).await;
        stop(&sink).await;
        assert_eq!(sink.strays(), 2);
        let counts = sink.counts();
        match refuses {
            false => assert_eq!((operator.seqs(), counts.delivered), (vec![0, 1], 2)),
            true => assert_eq!((counts.delivered, counts.failed), (0, 2)),
        }
    }
    delete(&*shelf, class, &junk).await;
    assert_eq!(trail(&store, org).await.verify().await.unwrap().entries, 1);
}
