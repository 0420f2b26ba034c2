//! A run that was put back counts its events from 0 again: nothing of its first life, and nothing of its second, is lost.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::{
    AuditArea, AuditNotice, ContextSnapshot, OrgId, Outcome, RunId, RunIdentity, SystemIds, UserId,
};
use stageflow_events::{
    Batch, Event, EventKind, EventRecord, EventSink, Journal, JournalOptions, RunHeader, Stopping,
};
use stageflow_store::{
    AuditDraft, AuditSink, AuditTrail, Class, Erasure, EventLog, Row, RunRecord, Runs, Scan, Shelf,
    Store, StoreError, StoreSink, Write,
};
use stageflow_tenancy::TenantScope;

use crate::new_store;
use crate::support::{AnyStore, everything, keys, org, rows, scope, user};

/// A life of a run: who was let in, and when.
#[derive(Clone)]
struct Life {
    run: RunId,
    org: OrgId,
    user: UserId,
    second: u64,
    who: &'static str,
}

impl Life {
    fn batch(&self) -> Batch {
        let identity = RunIdentity::new(self.run)
            .with_org_id(self.org)
            .with_user_id(self.user);
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(self.second);
        let context = ContextSnapshot::new(identity);
        let header = RunHeader::by_hand(context, "answer".into(), [].into(), started);
        let login = AuditNotice::new(AuditArea::Auth, "login", json!({ "subject": self.who }));
        let ended = EventKind::RunEnded {
            outcome: Outcome::Succeeded,
            reason: None,
        };
        let kinds = [
            EventKind::RunStarted,
            EventKind::Audit(Box::new(login)),
            ended,
        ];
        let events = (0..).zip(kinds);
        let events = events.map(|(seq, kind)| Event::new(seq, 1_000 * seq, kind));
        Batch::new(Arc::new(header), events.collect())
    }

    /// The same run, put back at this time.
    fn again(&self, second: u64, who: &'static str) -> Self {
        Self {
            second,
            who,
            ..self.clone()
        }
    }
}

fn first() -> Life {
    Life {
        run: RunId::generate(&SystemIds::new()),
        org: org(),
        user: user(),
        second: 1_000,
        who: "ada",
    }
}

async fn deliver(sink: &impl EventSink, lives: &[&Life]) {
    for life in lives {
        let receipt = sink.emit(life.batch()).await;
        assert_eq!(receipt.accepted, 3);
        sink.flush().await;
    }
    let stopped = sink.close(Stopping::Drain, Duration::from_secs(5)).await;
    assert!(stopped.iter().all(|sink| sink.counts.failed == 0));
}

async fn audit(store: &AnyStore, lives: &[&Life]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let operator = Journal::create(JournalOptions::new(folder.path())).unwrap();
    let sink = AuditSink::start(Arc::new(store.clone()), keys(), operator);
    deliver(&sink, lives).await;
    let trail = AuditTrail::new(store.open(&scope(lives[0].org)).await.unwrap(), keys());
    let mut who = Vec::new();
    for number in 1..=trail.verify().await.unwrap().entries {
        let detail = trail.entry(number).await.unwrap().unwrap().detail;
        who.push(detail.map_or_else(String::new, |detail| detail.who.unwrap()));
    }
    who
}

async fn events(store: &AnyStore, lives: &[&Life]) -> Vec<EventRecord> {
    deliver(&StoreSink::start(Arc::new(store.clone())), lives).await;
    let log = EventLog::open(store, &scope(lives[0].org)).await.unwrap();
    log.of_run(lives[0].run, 0, 100).await.unwrap()
}

#[tokio::test]
async fn each_life_has_its_audit() {
    // Later; and, as clocks step, at the same time to the microsecond.
    for second in [2_000, 1_000] {
        let store = new_store();
        let ada = first();
        let [bob, cy] = [ada.again(second, "bob"), ada.again(second, "cy")];
        assert_eq!(audit(&store, &[&ada]).await, ["ada"]);
        assert_eq!(audit(&store, &[&bob, &cy]).await, ["ada", "bob", "cy"]);
        // However often each is delivered, and in whatever order.
        let all = [&cy, &ada, &bob, &ada];
        assert_eq!(audit(&store, &all).await, ["ada", "bob", "cy"]);
    }
}

/// In one commit, and each of them twice.
#[tokio::test]
async fn lives_at_the_same_time_are_told_apart_in_one_commit() {
    let (store, ada) = (new_store(), first());
    let lives = [&ada, &ada.again(1_000, "bob"), &ada.again(1_000, "cy")];
    let drafts = lives.iter().flat_map(|life| {
        let batch = life.batch();
        let record = EventRecord::new(&batch.run, &batch.events[1]);
        [
            AuditDraft::of_record(&record),
            AuditDraft::of_record(&record),
        ]
    });
    let drafts: Vec<_> = drafts.collect();
    let trail = AuditTrail::new(store.open(&scope(ada.org)).await.unwrap(), keys());
    assert_eq!(trail.append(drafts[4..].to_vec()).await.unwrap(), 1);
    assert_eq!(trail.append(drafts.clone()).await.unwrap(), 2);
    assert_eq!(trail.append(drafts).await.unwrap(), 0);
    assert_eq!(trail.verify().await.unwrap().entries, 3);
}

/// What was erased does not come back with what is delivered again.
#[tokio::test]
async fn what_was_erased_is_known() {
    let (store, ada) = (new_store(), first());
    audit(&store, &[&ada]).await;
    events(&store, &[&ada]).await;
    let shelf = store.open(&scope(ada.org)).await.unwrap();
    let erasure = Erasure::new(store.clone(), keys());
    erasure.erase(&scope(ada.org), ada.user).await.unwrap();
    let before = rows(&*shelf, Class::Events).await;

    assert_eq!(audit(&store, &[&ada]).await, ["", "erasure"]);
    events(&store, &[&ada]).await;
    assert_eq!(rows(&*shelf, Class::Events).await, before);
    let runs = Runs::open(&store, &scope(ada.org)).await.unwrap();
    let ends = async || {
        let lives = runs.lives(ada.run).await.unwrap();
        let ends = lives
            .into_iter()
            .map(|life| (life.started_at, life.outcome));
        ends.collect::<Vec<_>>()
    };
    let first = (1_000_000, "erased".to_owned());
    assert_eq!(ends().await, std::slice::from_ref(&first));
    // Another life is another thing.
    events(&store, &[&ada.again(2_000, "ada")]).await;
    assert_eq!(ends().await, [first, (2_000_000, "succeeded".to_owned())]);
    let shelf = store.open(&scope(ada.org)).await.unwrap();
    erasure.erase(&scope(ada.org), ada.user).await.unwrap();
    assert!(!everything(&*shelf).await.contains("\"ada\""));
}

#[tokio::test]
async fn each_life_has_its_events() {
    for second in [2_000, 1_000] {
        let store = new_store();
        let ada = first();
        let [bob, cy] = [ada.again(second, "bob"), ada.again(second, "cy")];
        let one = events(&store, &[&ada]).await;
        assert_eq!(one.len(), 3);
        let all = events(&store, &[&bob, &cy, &ada]).await;
        let who: Vec<_> = all
            .iter()
            .filter_map(|record| record.data["subject"].as_str())
            .collect();
        assert_eq!(who, ["ada", "bob", "cy"]);
        let numbers: Vec<_> = all.iter().map(|record| record.seq).collect();
        assert!(numbers.is_sorted());
        // What is the same at the same time is one record: bob and cy began and ended together.
        let [begun, told] = if second == 1_000 { [1, 3] } else { [2, 3] };
        let found = [0, 1, 2].map(|seq| numbers.iter().filter(|n| **n == seq).count());
        assert_eq!(found, [begun, told, begun], "{numbers:?}");
        assert_eq!(events(&store, &[&cy, &ada]).await, all);
        assert!(one.iter().all(|record| all.contains(record)));
    }
}

/// However small the pages are, no record is between two of them.
#[tokio::test]
async fn pages_end_where_a_number_does() {
    let store = new_store();
    let ada = first();
    let bob = ada.again(2_000, "bob");
    let all = events(&store, &[&ada, &bob]).await;
    assert_eq!(all.len(), 6);
    let log = EventLog::open(&store, &scope(ada.org)).await.unwrap();
    for most in 1..7 {
        let (mut read, mut from) = (Vec::new(), 0);
        loop {
            let page = log.of_run(ada.run, from, most).await.unwrap();
            let Some(last) = page.last() else { break };
            from = last.seq + 1;
            read.extend(page);
        }
        assert_eq!(read, all, "{most}");
    }
}

/// However often and in whatever order they are told of.
#[tokio::test]
async fn each_life_has_its_ending() {
    let (store, ada) = (new_store(), first());
    let [bob, cy] = [ada.again(2_000, "bob"), ada.again(3_000, "cy")];
    let runs = Runs::open(&store, &scope(ada.org)).await.unwrap();
    let told = [&[&bob][..], &[&cy, &ada], &[&ada, &bob, &cy]];
    let known = [
        (&[2_000][..], 2_000),
        (&[1_000, 2_000, 3_000], 3_000),
        (&[1_000, 2_000, 3_000], 3_000),
    ];
    for (lives, (all, last)) in told.into_iter().zip(known) {
        events(&store, lives).await;
        let lives = runs.lives(ada.run).await.unwrap();
        let began: Vec<_> = lives.iter().map(|life| life.started_at / 1_000).collect();
        assert_eq!(began, all);
        let record = runs.get(ada.run).await.unwrap().unwrap();
        assert_eq!(record.started_at / 1_000, last);
        assert_eq!(runs.newest(None, 10).await.unwrap(), [record]);
    }
}

/// A store in which somebody else tells of one more life, each time before a commit is done.
struct Overtaken(AnyStore, Arc<Mutex<Vec<RunRecord>>>);

#[derive(Debug)]
struct OvertakenShelf(Arc<dyn Shelf>, Runs, Arc<Mutex<Vec<RunRecord>>>);

#[async_trait]
impl Store for Overtaken {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let (shelf, runs) = (self.0.open(scope).await?, Runs::open(&self.0, scope).await?);
        Ok(Arc::new(OvertakenShelf(shelf, runs, Arc::clone(&self.1))))
    }
}

#[async_trait]
impl Shelf for OvertakenShelf {
    fn org(&self) -> OrgId {
        self.0.org()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        let other = self.2.lock().unwrap().pop();
        if let Some(other) = other {
            self.1.record(&other).await?;
        }
        self.0.commit(writes).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        self.0.get(class, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.0.scan(scan).await
    }
}

/// Whoever was slower again and again is found where they came to stand.
#[tokio::test]
async fn a_life_that_was_overtaken_is_there_once() {
    let (store, ada) = (new_store(), first());
    let batch = ada.batch();
    let mine = RunRecord::of(&batch.run, &batch.events[2]).unwrap();
    // All of them began at the same time.
    let others = [11, 12, 13].map(|took_us| {
        let mut other = mine.clone();
        other.took_us = took_us;
        other
    });
    let overtaken = Overtaken(store.clone(), Arc::new(Mutex::new(others.into())));
    let slow = Runs::open(&overtaken, &scope(ada.org)).await.unwrap();
    slow.record(&mine).await.unwrap();
    let runs = Runs::open(&store, &scope(ada.org)).await.unwrap();
    runs.record(&mine).await.unwrap();
    let lives = runs.lives(ada.run).await.unwrap();
    let took: Vec<_> = lives.iter().map(|life| life.took_us).collect();
    assert_eq!(took, [13, 12, 11, mine.took_us]);
    assert_eq!(runs.get(ada.run).await.unwrap(), Some(mine));
}
