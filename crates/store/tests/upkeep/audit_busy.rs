//! A tenant whose trail takes nothing now keeps nothing from others and from the operator, and what becomes of each event is known.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use stageflow_context::{AuditArea, AuditNotice, OrgId};
use stageflow_events::{
    Batch, BoundedCounts, BoundedSinkBuilder, BreakerPolicy, Entry, Event, EventKind,
    EventSink as _, ExportError, ExportErrorKind, Exporter, RetryPolicy, Stopping,
};
use stageflow_store::{AuditSink, AuditTrail, Store as _};
use stageflow_testkit::{Property, paused};

use crate::busy::{Busy, How};
use crate::new_store;
use crate::support::{AnyStore, header, keys, org, scope, user};

const LONG: Duration = Duration::from_mins(1);

/// Writes down how many it is given by each call, and does not take those of some calls.
#[derive(Clone, Default)]
struct Operator {
    given: Arc<Mutex<Vec<usize>>>,
    refuses: Arc<Mutex<u32>>,
}

impl Operator {
    fn given(&self) -> Vec<usize> {
        self.given.lock().unwrap().clone()
    }
}

#[async_trait]
impl Exporter for Operator {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let mut refuses = self.refuses.lock().unwrap();
        if *refuses > 0 {
            *refuses -= 1;
            return Err(ExportError::new(ExportErrorKind::Transient, "full"));
        }
        self.given.lock().unwrap().push(entries.len());
        Ok(())
    }
}

/// So many tries, one soon after the other.
fn tries(tries: u32) -> RetryPolicy {
    let soon = Duration::from_millis(1);
    RetryPolicy::new(NonZeroU32::new(tries).unwrap(), soon, soon)
}

fn start(
    busy: &Busy,
    operator: &Operator,
    shape: impl FnOnce(BoundedSinkBuilder) -> BoundedSinkBuilder,
) -> AuditSink {
    AuditSink::shaped(Arc::new(busy.clone()), keys(), operator.clone(), shape)
}

/// So many logins of a run of this org, or of nobody's: failures.
fn logins(org: impl Into<Option<OrgId>>, count: u64) -> Batch {
    let login = || AuditNotice::new(AuditArea::Auth, "failure", json!({ "subject": "ada" }));
    let event = |seq| Event::new(seq, seq, EventKind::Audit(Box::new(login())));
    Batch::new(header(org, user()), (0..count).map(event).collect())
}

async fn entries(store: &AnyStore, org: OrgId) -> u64 {
    let trail = AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys());
    trail.verify().await.unwrap().entries
}

async fn stop(sink: &AuditSink, deadline: Duration) -> BoundedCounts {
    sink.close(Stopping::Drain, deadline).await;
    let counts = sink.counts();
    let ended = counts.delivered + counts.failed + counts.discarded;
    assert_eq!(counts.offered, counts.dropped + ended, "{counts:?}");
    counts
}

/// All of it goes out at once: in one batch.
fn offer(sink: &AuditSink, batches: impl IntoIterator<Item = Batch>) {
    for batch in batches {
        let count = batch.events.len() as u64;
        assert_eq!(sink.try_emit(batch).accepted, count);
    }
}

#[tokio::test]
async fn what_is_of_others_and_of_nobody_is_there_before_a_busy_one_is_asked_again() {
    let (store, operator) = (new_store(), Operator::default());
    let (a, b, c) = (org(), org(), org());
    let busy = Busy::over(&store);
    let gate = busy.be(b, How::BusyThenAt(1));
    let sink = start(&busy, &operator, |builder| builder.retry(tries(4)));
    offer(
        &sink,
        [logins(b, 2), logins(a, 3), logins(None, 2), logins(c, 1)],
    );
    gate.crowd(1).await;
    assert_eq!((entries(&store, a).await, entries(&store, c).await), (3, 1));
    assert_eq!(operator.given(), [2]);
    gate.open();
    let counts = stop(&sink, LONG).await;
    assert_eq!((counts.delivered, counts.failed), (6, 2));
    let asked = [a, b, c].map(|org| busy.commits(org));
    assert_eq!(asked, [1, 4, 1], "who has taken its own is not asked again");
    assert_eq!((operator.given(), sink.strays()), (vec![2], 0));
    assert_eq!(entries(&store, b).await, 0);
}

#[tokio::test]
async fn what_was_busy_twice_is_there_once() {
    let (store, operator) = (new_store(), Operator::default());
    let (a, b) = (org(), org());
    let busy = Busy::over(&store);
    busy.be(b, How::Busy(2));
    *operator.refuses.lock().unwrap() = 1;
    let sink = start(&busy, &operator, |builder| builder.retry(tries(3)));
    offer(&sink, [logins(b, 2), logins(None, 2), logins(a, 3)]);
    let counts = stop(&sink, LONG).await;
    assert_eq!((counts.delivered, counts.failed), (7, 0));
    assert_eq!((entries(&store, a).await, entries(&store, b).await), (3, 2));
    assert_eq!(operator.given(), [2]);
}

/// The end comes while one shelf does not answer.
#[tokio::test]
async fn what_is_there_when_the_sink_is_stopped_is_not_counted_as_lost() {
    let (store, operator) = (new_store(), Operator::default());
    let (a, b) = (org(), org());
    let busy = Busy::over(&store);
    let gate = busy.be(b, How::BusyThenAt(0));
    let sink = start(&busy, &operator, |builder| builder);
    offer(&sink, [logins(b, 2), logins(None, 2), logins(a, 3)]);
    gate.crowd(1).await;
    while busy.commits(a) == 0 || entries(&store, a).await == 0 {
        tokio::task::yield_now().await;
    }
    let counts = stop(&sink, Duration::from_millis(20)).await;
    assert_eq!((counts.delivered, counts.discarded), (5, 2), "{counts:?}");
    assert_eq!(operator.given(), [2]);
    assert_eq!(entries(&store, b).await, 0);
}

/// The calls to the shelf of one tenant fail for ever, and the breaker opens after two failed calls.
#[tokio::test]
async fn a_busy_tenant_does_not_open_the_breaker_for_others() {
    let (store, operator) = (new_store(), Operator::default());
    let (a, b) = (org(), org());
    let busy = Busy::over(&store);
    busy.be(b, How::Busy(u64::MAX));
    let rest = BreakerPolicy::new(NonZeroU32::new(2).unwrap(), Duration::from_hours(1));
    let shape = |builder: BoundedSinkBuilder| builder.retry(tries(3)).breaker(rest);
    let sink = start(&busy, &operator, shape);
    for _ in 0..4 {
        offer(&sink, [logins(b, 1)]);
        sink.flush().await;
    }
    offer(&sink, [logins(a, 1), logins(None, 1)]);
    let counts = stop(&sink, LONG).await;
    assert_eq!(
        (counts.delivered, counts.failed, counts.discarded),
        (2, 4, 0)
    );
    assert_eq!((entries(&store, a).await, operator.given()), (1, vec![1]));
}

/// They may share a thread, or a connection.
#[tokio::test]
async fn who_was_busy_comes_after_the_others_until_it_takes_something() {
    let (store, operator) = (new_store(), Operator::default());
    let (a, b) = (org(), org());
    let busy = Busy::over(&store);
    busy.be(b, How::Busy(2));
    let sink = start(&busy, &operator, |builder| builder.retry(tries(1)));
    for _ in 0..4 {
        offer(&sink, [logins(b, 1)]);
        offer(&sink, [logins(a, 1)]);
        sink.flush().await;
    }
    let order = busy.order();
    // Before it is known they go side by side.
    assert_eq!(order[2..6], [a, b, a, b]);
    let counts = stop(&sink, LONG).await;
    assert_eq!((counts.delivered, counts.failed), (6, 2));
}

/// A shelf that never answers: its tenant waits for it, and others do not.
#[test]
fn a_shelf_that_hangs_holds_up_no_more_than_its_own_tenant() {
    paused(async {
        let store = AnyStore::new(stageflow_store::MemoryStore::new(), None);
        let operator = Operator::default();
        let (a, b) = (org(), org());
        let busy = Busy::over(&store);
        busy.be(b, How::BusyThenAt(0));
        let rest = BreakerPolicy::new(NonZeroU32::new(2).unwrap(), Duration::from_hours(1));
        let shape = |builder: BoundedSinkBuilder| builder.breaker(rest);
        let sink = start(&busy, &operator, shape);
        let began = tokio::time::Instant::now();
        for nth in 1_u64..=10 {
            offer(&sink, [logins(b, 1), logins(None, 1), logins(a, 1)]);
            sink.flush().await;
            assert_eq!(
                (entries(&store, a).await, operator.given().len()),
                (nth, nth as usize)
            );
        }
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "{:?}",
            began.elapsed()
        );
        let counts = stop(&sink, LONG).await;
        assert_eq!(
            (counts.delivered, counts.failed, counts.discarded),
            (20, 10, 0)
        );
    });
}

#[derive(Clone, Debug)]
struct Tenant {
    busy: u64,
    logins: u64,
}

/// Attempts = entries + the operator's + lost, whoever is busy, and how often: for each tenant.
#[test]
fn attempts_are_entries_and_the_operators_and_what_is_lost() {
    let tenant = (0_u64..5, 0_u64..4).prop_map(|(busy, logins)| Tenant { busy, logins });
    let cases = (vec(tenant, 1..6), 0_u32..5, 0_u64..3);
    let property = Property::new("each attempt is somewhere once").cases(crate::CASES);
    property.holds_for(&cases, |(tenants, refuses, nobodys)| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, operator) = (new_store(), Operator::default());
            let busy = Busy::over(&store);
            *operator.refuses.lock().unwrap() = refuses;
            let tenants: Vec<_> = tenants.iter().map(|tenant| (org(), tenant)).collect();
            let sink = start(&busy, &operator, |builder| builder.retry(tries(3)));
            let mut lost = 0;
            for (org, tenant) in &tenants {
                busy.be(*org, How::Busy(tenant.busy));
                offer(&sink, [logins(*org, tenant.logins)]);
                lost += if tenant.busy >= 3 { tenant.logins } else { 0 };
            }
            offer(&sink, [logins(None, nobodys)]);
            let operators = if refuses >= 3 { 0 } else { nobodys };
            lost += nobodys - operators;
            let counts = stop(&sink, LONG).await;
            for (org, tenant) in tenants {
                let expected = if tenant.busy >= 3 { 0 } else { tenant.logins };
                prop_assert_eq!(entries(&store, org).await, expected);
            }
            let given: usize = operator.given().iter().sum();
            prop_assert_eq!(given as u64, operators);
            prop_assert_eq!((counts.failed, counts.discarded), (lost, 0));
            Ok(())
        })
    });
}
