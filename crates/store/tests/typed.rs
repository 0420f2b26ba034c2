//! Documents, runs and events, as those who use them see them.

#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stageflow_context::{ContextSnapshot, OrgId, Outcome, RunId, RunIdentity, SystemIds, UserId};
use stageflow_events::{Batch, Event, EventKind, EventSink as _, RunHeader, Stopping};
use stageflow_store::conformance::{HandClock, scope_of};
use stageflow_store::{
    Documents, EventLog, MemoryStore, RunRecord, Runs, Store, StoreError, StoreErrorKind, StoreSink,
};

fn ids() -> SystemIds {
    SystemIds::new()
}

fn header(org: Option<OrgId>, user: Option<UserId>) -> Arc<RunHeader> {
    let identity = RunIdentity::new(RunId::generate(&ids()))
        .with_org_id(org)
        .with_user_id(user);
    let context = ContextSnapshot::new(identity);
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    Arc::new(RunHeader::by_hand(
        context,
        "p".into(),
        [].into(),
        started_at,
    ))
}

fn story() -> Vec<Event> {
    let ended = EventKind::RunEnded {
        outcome: Outcome::Failed,
        reason: None,
    };
    vec![
        Event::new(0, 0, EventKind::RunStarted),
        Event::new(1, 5_000_000, ended),
    ]
}

#[tokio::test]
async fn documents_of_an_org_and_of_its_users_have_their_own_names() {
    let clock = HandClock::new();
    let store = MemoryStore::with(NonZeroUsize::new(100).unwrap(), clock.clone());
    let org = OrgId::generate(&ids());
    let (ada, bob) = (UserId::generate(&ids()), UserId::generate(&ids()));
    let all = Documents::open(&store, &scope_of(org, Some(ada)))
        .await
        .unwrap()
        .wall_clock(clock.clone());
    for (documents, says) in [
        (all.clone(), "org"),
        (all.of(ada), "ada"),
        (all.of(bob), "bob"),
    ] {
        documents.put("name", &json!(says)).await.unwrap();
        documents.put("b", &json!(null)).await.unwrap();
        let document = documents.get("name").await.unwrap().unwrap();
        assert_eq!((document.value, document.version), (json!(says), 0));
        assert_eq!(
            (document.name.as_str(), document.at),
            ("name", clock.millis())
        );
        let names = documents.list("", None, 10).await.unwrap();
        let names: Vec<_> = names.into_iter().map(|document| document.name).collect();
        assert_eq!(names, ["b", "name"]);
    }
    // A name that looks like the way to somebody else's is a name.
    let sly = format!("user/{}/name", ada.as_uuid().simple());
    assert_eq!(all.get(&sly).await.unwrap(), None);
    all.of(bob).put("../name", &json!("sly")).await.unwrap();
    assert_eq!(
        all.of(ada).get("name").await.unwrap().unwrap().value,
        json!("ada")
    );
    all.of(ada).delete("name").await.unwrap();
    assert_eq!(all.of(ada).get("name").await.unwrap(), None);
    assert_eq!(all.get("name").await.unwrap().unwrap().value, json!("org"));
    let elsewhere = scope_of(OrgId::generate(&ids()), Some(ada));
    let elsewhere = Documents::open(&store, &elsewhere).await.unwrap();
    assert_eq!(elsewhere.list("", None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn who_writes_over_what_somebody_else_has_written_is_told() {
    let store = MemoryStore::new();
    let scope = scope_of(OrgId::generate(&ids()), None);
    let documents = Documents::open(&store, &scope).await.unwrap();
    documents.put("plan", &json!(1)).await.unwrap();
    let read = documents.get("plan").await.unwrap().unwrap();
    assert!(documents.swap(&read, &json!(2)).await.unwrap());
    assert!(!documents.swap(&read, &json!(3)).await.unwrap());
    let read = documents.get("plan").await.unwrap().unwrap();
    assert_eq!((read.value, read.version), (json!(2), 1));
    for name in ["", "a\0b", &"x".repeat(300)] {
        let refused = documents.put(name, &Value::Null).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code()),
            (StoreErrorKind::Invalid, "SF0715")
        );
    }
}

#[tokio::test]
async fn runs_are_listed_from_the_newest_page_by_page() {
    let store = MemoryStore::new();
    let org = OrgId::generate(&ids());
    let runs = Runs::open(&store, &scope_of(org, None)).await.unwrap();
    let ended = Event::new(
        1,
        7_000,
        EventKind::RunEnded {
            outcome: Outcome::Succeeded,
            reason: None,
        },
    );
    let mut all = Vec::new();
    for _ in 0..25 {
        let record = RunRecord::of(&header(Some(org), None), &ended).unwrap();
        runs.record(&record).await.unwrap();
        all.push(record);
    }
    // Ids that were made in the same millisecond are in some order.
    all.sort_by_key(|record| std::cmp::Reverse(record.run));
    let mut paged = Vec::new();
    loop {
        let page = runs
            .newest(paged.last().map(|last: &RunRecord| last.run), 10)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(runs.get(all[3].run).await.unwrap().as_ref(), Some(&all[3]));
    assert_eq!(runs.get(RunId::generate(&ids())).await.unwrap(), None);
    assert_eq!(all[0].outcome(), Some(Outcome::Succeeded));
    assert_eq!((all[0].started_at, all[0].took_us), (1_000_000, 7));
    let first = Event::new(0, 0, EventKind::RunStarted);
    assert_eq!(RunRecord::of(&header(Some(org), None), &first), None);
}

#[tokio::test]
async fn events_are_kept_under_their_org_and_those_of_nobody_are_counted() {
    let store = Arc::new(MemoryStore::new());
    let sink = StoreSink::start(Arc::clone(&store) as Arc<dyn Store>);
    let (a, b) = (OrgId::generate(&ids()), OrgId::generate(&ids()));
    let user = UserId::generate(&ids());
    let headers = [
        header(Some(a), Some(user)),
        header(Some(b), None),
        header(None, None),
    ];
    for header in &headers {
        let receipt = sink.try_emit(Batch::new(Arc::clone(header), story()));
        let expected = if header.identity().org_id().is_some() {
            (2, 0, 0)
        } else {
            (0, 2, 2)
        };
        assert_eq!(
            (receipt.accepted, receipt.dropped, receipt.dropped_audit),
            expected
        );
    }
    let stopped = sink.close(Stopping::Drain, Duration::from_secs(5)).await;
    let counts = stopped[0].counts;
    assert_eq!(counts, sink.counts());
    assert_eq!((counts.offered, counts.accepted, counts.dropped), (6, 4, 2));
    assert_eq!((counts.delivered, sink.nobody()), (4, 2));
    for (org, own, other) in [(a, 0, 1), (b, 1, 0)] {
        let scope = scope_of(org, None);
        let log = EventLog::open(&*store, &scope).await.unwrap();
        let run = |place: usize| headers[place].identity().run_id();
        let records = log.of_run(run(own), 0, 100).await.unwrap();
        let kinds: Vec<_> = records.iter().map(|record| &*record.kind).collect();
        assert_eq!(kinds, ["run.started", "run.ended"]);
        assert_eq!(log.of_run(run(own), 1, 100).await.unwrap(), records[1..]);
        assert_eq!(log.of_run(run(own), 0, 1).await.unwrap(), records[..1]);
        assert_eq!(log.of_run(run(other), 0, 100).await.unwrap(), []);
        assert_eq!(log.of_run(run(2), 0, 100).await.unwrap(), []);
        let runs = Runs::open(&*store, &scope).await.unwrap();
        let ended = runs.newest(None, 10).await.unwrap();
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].outcome(), Some(Outcome::Failed));
        assert_eq!((ended[0].run, ended[0].took_us), (run(own), 5_000));
    }
    // Whose they are is on the rows, too.
    let shelf = store.open(&scope_of(a, None)).await.unwrap();
    for class in [stageflow_store::Class::Events, stageflow_store::Class::Runs] {
        let rows = shelf
            .scan(stageflow_store::Scan::of(class).about(user))
            .await
            .unwrap();
        assert!(!rows.is_empty());
    }
}

#[test]
fn an_error_says_what_was_being_done_what_is_wrong_and_what_to_do() {
    let all = [
        (
            StoreErrorKind::Unavailable,
            "SF0711",
            "the database does not answer; try again later, and look at whether it runs",
        ),
        (
            StoreErrorKind::Full,
            "SF0712",
            "there is no room left; make some, or keep less for less long",
        ),
        (
            StoreErrorKind::Corrupt,
            "SF0713",
            "what is kept cannot be read; look at the disk, and put a copy in its place",
        ),
        (
            StoreErrorKind::Newer,
            "SF0714",
            "the database was written by a newer version; use that version",
        ),
        (
            StoreErrorKind::Invalid,
            "SF0715",
            "it cannot be kept like this; use keys of 1 to 255 bytes and bodies of up to 8 MiB, neither of them empty or with a byte 0",
        ),
        (
            StoreErrorKind::NotAllowed,
            "SF0716",
            "the database does not let this user do it; look at the roles of the manual's page",
        ),
        (
            StoreErrorKind::TooBusy,
            "SF0717",
            "others were faster again and again; try again later",
        ),
        (
            StoreErrorKind::Foreign,
            "SF0718",
            "the file is another org's, or no file at all; put back the one that belongs there, or take it away",
        ),
        (
            StoreErrorKind::Exposed,
            "SF0719",
            "others may write to the folder; take that right from them (`chmod go-w`), or give the program a folder of its own",
        ),
    ];
    for (kind, code, says) in all {
        let error = StoreError::new(kind, "doing it");
        assert_eq!((error.code(), error.kind()), (code, kind));
        assert_eq!(
            error.to_string(),
            format!("{code}: store, doing it: {says}")
        );
    }
}
