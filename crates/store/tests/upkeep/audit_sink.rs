//! What must be known goes into the trail of its tenant, once; what belongs to nobody goes to the operator.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stageflow_context::{AuditArea, AuditNotice, Outcome};
use stageflow_events::{
    Batch, Entry, Event, EventKind, EventSink as _, ExportError, Exporter, RetryPolicy, RunHeader,
    Stopping,
};
use stageflow_store::{AuditEntry, AuditSink, AuditTrail, Decision, Store as _, StoreErrorKind};

use crate::new_store;
use crate::support::{Breaking, header, keys, org, scope, user};

/// Writes down what the operator is given.
#[derive(Clone, Default)]
struct Operator(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Exporter for Operator {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let kinds = entries.iter().map(|entry| entry.record().kind.clone());
        self.0.lock().unwrap().extend(kinds);
        Ok(())
    }
}

fn notice(area: AuditArea, what: &str, payload: Value) -> EventKind {
    EventKind::Audit(Box::new(AuditNotice::new(area, what, payload)))
}

/// A run that was refused, and one that was let in, as engines tell them.
fn batch(run: &Arc<RunHeader>, kinds: Vec<EventKind>) -> Batch {
    let events = (0..)
        .zip(kinds)
        .map(|(seq, kind)| Event::new(seq, 1_000 * seq, kind));
    Batch::new(Arc::clone(run), events.collect())
}

fn failure() -> EventKind {
    let payload = json!({ "reason": "expired", "code": "SF0602", "subject": "ada" });
    notice(AuditArea::Auth, "failure", payload)
}

fn ended(outcome: Outcome) -> EventKind {
    EventKind::RunEnded {
        outcome,
        reason: None,
    }
}

async fn stop(sink: &AuditSink) {
    sink.close(Stopping::Drain, Duration::from_secs(5)).await;
}

async fn entries(trail: &AuditTrail) -> Vec<AuditEntry> {
    let mut all = Vec::new();
    for number in 1..=trail.verify().await.unwrap().entries {
        all.push(trail.entry(number).await.unwrap().unwrap());
    }
    all
}

#[tokio::test]
async fn each_tenant_has_what_is_its_own_and_the_operator_what_is_nobodys() {
    let store = new_store();
    let operator = Operator::default();
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    let orgs = [org(), org()];
    let users = [user(), user()];
    let mut runs = Vec::new();
    for (org, user) in orgs.into_iter().zip(users) {
        let run = header(org, user);
        let login = notice(AuditArea::Auth, "login", json!({ "subject": "ada" }));
        let reached = notice(
            AuditArea::Tenant,
            "access_denied",
            json!({ "code": "SF0651" }),
        );
        let kinds = vec![
            EventKind::RunStarted,
            login,
            reached,
            ended(Outcome::Succeeded),
        ];
        let receipt = sink.try_emit(batch(&run, kinds));
        assert_eq!((receipt.accepted, receipt.dropped), (4, 0));
        runs.push(run);
    }
    let nobody = header(None, None);
    let kinds = vec![EventKind::RunStarted, failure(), ended(Outcome::Denied)];
    assert_eq!(sink.emit(batch(&nobody, kinds)).await.accepted, 3);
    stop(&sink).await;

    let counts = sink.counts();
    assert_eq!((counts.offered, counts.delivered), (5, 5), "{counts:?}");
    assert_eq!(*operator.0.lock().unwrap(), ["auth.failure"]);
    for ((org, user), run) in orgs.into_iter().zip(users).zip(&runs) {
        let trail = AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys());
        let entries = entries(&trail).await;
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (&*entry.what, entry.decision, entry.seq))
            .collect();
        let expected = [
            ("auth.login", Some(Decision::Allowed), Some(1)),
            ("tenant.access_denied", Some(Decision::Denied), Some(2)),
        ];
        assert_eq!(told, expected);
        assert_eq!(entries[1].code.as_deref(), Some("SF0651"));
        assert_eq!(entries[0].run, Some(run.identity().run_id().to_string()));
        let detail = entries[0].detail.clone().unwrap();
        assert_eq!(
            (detail.user, detail.who.as_deref()),
            (Some(user), Some("ada"))
        );
    }
}

/// The same batch is delivered again when its end was lost.
#[tokio::test]
async fn an_event_is_in_its_trail_once_however_often_it_is_delivered() {
    let store = new_store();
    let org = org();
    let run = header(org, user());
    // The commit happens, and the sink is told that it did not; then nothing works, until it tries no more.
    let breaking = Arc::new(Breaking::after(&store, 1));
    let operator = Operator::default();
    let tries = NonZeroU32::new(3).unwrap();
    let soon = RetryPolicy::new(tries, Duration::from_millis(1), Duration::from_millis(2));
    let sink = AuditSink::shaped(breaking, keys(), operator.clone(), |builder| {
        builder.retry(soon)
    });
    let kinds = vec![failure(), ended(Outcome::Denied)];
    let _ = sink.try_emit(batch(&run, kinds.clone()));
    stop(&sink).await;
    assert_eq!(sink.counts().delivered, 0, "{:?}", sink.counts());

    let trail = AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys());
    assert_eq!(trail.verify().await.unwrap().entries, 1);
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator);
    let _ = sink.try_emit(batch(&run, kinds));
    stop(&sink).await;
    assert_eq!(sink.counts().delivered, 1);
    assert_eq!(trail.verify().await.unwrap().entries, 1, "it was there");
}

/// What cannot be written is counted, and not lost.
#[tokio::test]
async fn attempts_are_audits_and_what_is_counted_as_lost() {
    let store = new_store();
    let (one, other) = (org(), org());
    let operator = Operator::default();
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator.clone());
    let mut attempts = 0;
    for n in 0..60 {
        let org = [Some(one), Some(other), None][n % 3];
        let _ = sink.try_emit(batch(
            &header(org, None),
            vec![failure(), ended(Outcome::Denied)],
        ));
        attempts += 1;
    }
    stop(&sink).await;
    let mut audits = operator.0.lock().unwrap().len() as u64;
    for org in [one, other] {
        let trail = AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys());
        let entries = entries(&trail).await;
        audits += entries
            .iter()
            .filter(|entry| entry.decision == Some(Decision::Denied))
            .count() as u64;
    }
    let counts = sink.counts();
    assert_eq!(attempts, audits);
    assert_eq!(
        counts.offered,
        audits + counts.dropped + counts.failed + counts.discarded
    );
    let store = Breaking::after(&store, 0).open(&scope(one)).await.unwrap();
    let trail = AuditTrail::new(store, keys());
    let error = trail
        .append(vec![stageflow_store::AuditDraft::new("auth.login")])
        .await
        .unwrap_err();
    assert_eq!(error.store().unwrap().kind(), StoreErrorKind::Unavailable);
}
