//! What a trail cannot take: its neighbours are taken, and it goes to the operator, whole, and is counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stageflow_context::{AuditArea, AuditNotice, OrgId};
use stageflow_events::{
    Batch, Entry, Event, EventKind, EventRecord, EventSink as _, ExportError, ExportErrorKind,
    Exporter, Stopping,
};
use stageflow_store::{AuditDraft, AuditSink, AuditTrail, Class, Decision, Row, Store as _};

use crate::new_store;
use crate::support::{AnyStore, delete, header, keys, org, put, scope, user};

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

fn records(org: OrgId, count: u64) -> Vec<Arc<EventRecord>> {
    let batch = batch(org, (0..count).map(|n| json!({ "n": n })).collect());
    let records = batch.events.iter();
    records
        .map(|event| Arc::new(EventRecord::new(&batch.run, event)))
        .collect()
}

async fn stop(sink: &AuditSink) {
    sink.close(Stopping::Drain, Duration::from_secs(5)).await;
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
    let large = json!({ "said": "z".repeat(9 << 20), "subject": "ada" });
    let all = vec![json!({ "n": 0 }), large, json!({ "n": 2 })];
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
    let length = json!({ "said": "z".repeat(9 << 20), "subject": "ada" })
        .to_string()
        .len();
    assert_eq!(mark["bytes"], length);
    assert!(mark["sum"].as_str().unwrap().starts_with("sha256:"));
    // And once, like all others.
    let draft = || AuditDraft::new("auth.login").details(json!("z".repeat(9 << 20)));
    let why = || draft().because("y".repeat(9 << 20)).by("x".repeat(9 << 20));
    assert_eq!(trail.append(vec![draft(), why()]).await.unwrap(), 2);
    trail.verify().await.unwrap();
}

/// Something that no row can hold: its source is too long for a key.
#[tokio::test]
async fn one_that_cannot_be_kept_takes_no_neighbours_with_it() {
    let (store, org, operator) = (new_store(), org(), Operator::default());
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    // So that the org is known, and a record from a disk has a way in.
    let _ = sink.emit(batch(org, vec![json!({})])).await;
    sink.flush().await;
    let mut all = records(org, 5);
    let mut long = EventRecord::clone(&all[3]);
    long.run_id = "r".repeat(300);
    all[3] = Arc::new(long);
    for record in &all {
        let _ = sink.try_record(record);
    }
    stop(&sink).await;
    assert_eq!((sink.counts().delivered, sink.strays()), (6, 1));
    assert_eq!(operator.seqs(), [3]);
    let trail = trail(&store, org).await;
    assert_eq!(trail.verify().await.unwrap().entries, 5);
}

/// After a crash: what a disk kept meanwhile has no envelope, and so no way into a store.
#[tokio::test]
async fn what_has_no_envelope_is_the_operators_until_its_org_was_seen() {
    let (store, org, operator) = (new_store(), org(), Operator::default());
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    for record in records(org, 3) {
        let _ = sink.try_record(&record);
    }
    sink.flush().await;
    assert_eq!((sink.strays(), operator.seqs()), (3, vec![0, 1, 2]));
    let _ = sink.emit(batch(org, vec![json!({})])).await;
    sink.flush().await;
    for record in records(org, 2) {
        let _ = sink.try_record(&record);
    }
    stop(&sink).await;
    assert_eq!((sink.strays(), sink.counts().delivered), (3, 6));
    let trail = trail(&store, org).await;
    assert_eq!(trail.verify().await.unwrap().entries, 3);
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
