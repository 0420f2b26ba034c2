//! Somebody holds the lock of one tenant's file, such as a backup: its audit waits, and nobody else's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::{AuditArea, AuditNotice, OrgId};
use stageflow_events::{
    Batch, Entry, Event, EventKind, EventSink as _, ExportError, Exporter, Stopping,
};
use stageflow_store::{AuditSink, AuditTrail, SqliteOptions, SqliteStore, Store as _};

use crate::support::{header, keys, org, scope};

#[derive(Clone, Default)]
struct Operator(Arc<Mutex<usize>>);

#[async_trait]
impl Exporter for Operator {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        *self.0.lock().unwrap() += entries.len();
        Ok(())
    }
}

fn login(org: Option<OrgId>) -> Batch {
    let login = AuditNotice::new(AuditArea::Auth, "login", json!({}));
    let event = Event::new(0, 0, EventKind::Audit(Box::new(login)));
    Batch::new(header(org, None), vec![event])
}

async fn entries(store: &SqliteStore, org: OrgId) -> Vec<String> {
    let trail = AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys());
    let mut all = Vec::new();
    for number in 1..=trail.verify().await.unwrap().entries {
        all.push(trail.entry(number).await.unwrap().unwrap().what);
    }
    all
}

#[tokio::test]
async fn a_file_that_is_locked_keeps_back_only_the_audit_of_its_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new().busy(Duration::from_millis(50));
    let store = SqliteStore::open(folder.path(), options).unwrap();
    let (a, b, operator) = (org(), org(), Operator::default());
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    for org in [Some(a), Some(b)] {
        assert_eq!(sink.emit(login(org)).await.accepted, 1);
    }
    sink.flush().await;

    let file = folder
        .path()
        .join(format!("org_{}.db", b.as_uuid().simple()));
    let backup = rusqlite::Connection::open(file).unwrap();
    backup.execute_batch("BEGIN IMMEDIATE").unwrap();
    for org in [Some(b), Some(a), None] {
        assert_eq!(sink.try_emit(login(org)).accepted, 1);
    }
    sink.flush().await;
    let counts = sink.counts();
    assert_eq!((counts.delivered, counts.failed), (4, 1));
    assert_eq!(entries(&store, a).await, ["auth.login"; 2]);
    assert_eq!(*operator.0.lock().unwrap(), 1);

    backup.execute_batch("ROLLBACK").unwrap();
    assert_eq!(sink.emit(login(Some(b))).await.accepted, 1);
    sink.close(Stopping::Drain, Duration::from_mins(1)).await;
    assert_eq!(sink.counts().delivered, 5);
    // Its trail says itself that something is missing.
    let mut there = entries(&store, b).await;
    there.sort_unstable();
    let login = "auth.login";
    assert_eq!(there, [login, login, "telemetry.dropped"]);
}
