//! Engines with stores: answers, approvals and events that are kept, each under its org.

#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::json;
use stageflow_context::{Idempotency, OrgId, Outcome, StageCx, SystemIds, WallClock};
use stageflow_events::{EventSink as _, Stopping};
use stageflow_executor::{
    Approval, ApprovalRequest, ApprovalStatus, AtDeadline, DeskErrorKind, DeskOptions, Engine,
    RunOptions, approval,
};
use stageflow_graph::{Pipeline, StageKind, stage_fn};
use stageflow_interceptors::IdempotentWork;
use stageflow_interceptors::idempotency::Codec;
use stageflow_store::conformance::scope_of;
use stageflow_store::{
    EventLog, MemoryStore, OrgApprovals, Runs, SeenTenants, SqliteOptions, SqliteStore, Store,
    StoreSink, StoredAnswers, StoredApprovals,
};
use stageflow_testkit::{Probe, paused};
use tokio::time::{Instant, sleep};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Receipt {
    number: usize,
}

/// One stage of work, whose receipts are numbered from 1.
fn shop(probe: &Probe) -> Pipeline<u64, Receipt> {
    let mut p = Pipeline::builder("shop");
    let n = p.input::<u64>();
    let probe = probe.clone();
    let work = stage_fn(move |_: StageCx, _: Arc<u64>| {
        let live = probe.enter();
        let number = probe.calls();
        async move {
            live.done();
            Ok(Receipt { number })
        }
    });
    let pay = p.stage("pay", work).kind(StageKind::Work).after(n);
    p.output(pay).build().unwrap()
}

fn under(key: &str) -> RunOptions {
    RunOptions::new().idempotency(Idempotency::new(key.parse().unwrap()))
}

/// `write` gives a draft, `sign` is the gate, `send` gives what was signed.
fn letter(gate: Approval<String>) -> Pipeline<u64, String> {
    let mut p = Pipeline::builder("letter");
    let n = p.input::<u64>();
    let write = stage_fn(async |_: StageCx, n: Arc<u64>| Ok(format!("draft {n}")));
    let draft = p.stage("write", write).after(n);
    let signed = p.stage("sign", gate).after(draft);
    let send = stage_fn(async |_: StageCx, text: Arc<String>| Ok(format!("sent: {text}")));
    let sent = p.stage("send", send).after(signed);
    p.output(sent).build().unwrap()
}

fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

fn shop_engine(store: Arc<dyn Store>) -> Engine {
    let seen = SeenTenants::new();
    let answers = StoredAnswers::new(store, &seen);
    let layer = IdempotentWork::new(answers).codec(Codec::new().json::<Receipt>());
    Engine::builder().intercept(seen).intercept(layer).build()
}

/// The work is done once an org, also when the process was started again meanwhile.
#[tokio::test]
async fn work_under_a_key_is_done_once_for_each_org_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let probe = Probe::new();
    let pipeline = shop(&probe);
    let (a, b) = (org(), org());
    let mut receipts = Vec::new();
    for _ in 0..3 {
        let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
        let engine = shop_engine(Arc::new(store.clone()));
        for org in [a, b] {
            let report = engine.run(&pipeline, 7, under("k").org(org)).await;
            receipts.push((org, report.output().unwrap().number));
        }
        let nobody = engine.run(&pipeline, 7, under("k")).await;
        let refused = nobody.output().unwrap_err().to_string();
        assert!(refused.contains("SF0716"), "{refused}");
        drop(engine);
        store.close().await;
    }
    assert_eq!(probe.calls(), 2);
    let right = [(a, 1), (b, 2)].repeat(3);
    assert_eq!(receipts, right);
}

/// A call whose answer is under way when more tenants come than are remembered.
#[tokio::test]
async fn an_answer_is_kept_however_many_others_come_meanwhile() {
    const OTHERS: usize = 4_097;
    let seen = SeenTenants::new();
    let answers = StoredAnswers::new(Arc::new(MemoryStore::new()), &seen);
    let layer = IdempotentWork::new(answers).codec(Codec::new().json::<Receipt>());
    let engine = Engine::builder()
        .intercept(seen.clone())
        .intercept(layer)
        .build();
    let probe = Probe::new();
    let counted = probe.clone();
    let mut p = Pipeline::builder("shop");
    let n = p.input::<u64>();
    let work = stage_fn(move |_: StageCx, _: Arc<u64>| {
        let live = counted.enter();
        let (number, seen) = (counted.calls(), seen.clone());
        async move {
            for _ in 0..OTHERS {
                seen.remember(&scope_of(org(), None));
            }
            live.done();
            Ok(Receipt { number })
        }
    });
    let pay = p.stage("pay", work).kind(StageKind::Work).after(n);
    let pipeline = p.output(pay).build().unwrap();
    let org = org();
    for _ in 0..2 {
        let report = engine.run(&pipeline, 7, under("k").org(org)).await;
        assert_eq!(report.output().unwrap().number, 1);
    }
    assert_eq!(probe.calls(), 1);
}

/// Wall time that goes as tokio's clock does.
#[derive(Clone, Copy, Debug)]
struct Together(Instant);

impl WallClock for Together {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.elapsed()
    }
}

/// An engine whose approvals are kept in this store, as one process of several.
fn office(store: &MemoryStore) -> (Engine, StoredApprovals) {
    let seen = SeenTenants::new();
    let wall = Together(Instant::now());
    let desk = DeskOptions::new().wall_clock(wall);
    let approvals = StoredApprovals::with(Arc::new(store.clone()), &seen, desk, wall);
    let kept = approvals.clone();
    let engine = Engine::builder().intercept(seen).approvals(kept).build();
    (engine, approvals)
}

async fn desk_of(approvals: &StoredApprovals, org: OrgId) -> OrgApprovals {
    approvals.of(&scope_of(org, None)).await.unwrap()
}

async fn next_request(desk: &OrgApprovals) -> ApprovalRequest {
    loop {
        if let Some(request) = desk.pending(None, 10).await.unwrap().pop() {
            return request;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn people_decide_about_requests_of_their_org_and_of_no_other() {
    paused(async {
        let store = MemoryStore::new();
        let (engine, approvals) = office(&store);
        let (ours, theirs) = (org(), org());
        let pipeline = letter(approval().ask("Send this?"));
        let run = engine.run(&pipeline, 7, RunOptions::new().org(ours));
        let person = async {
            let (own, other) = (
                desk_of(&approvals, ours).await,
                desk_of(&approvals, theirs).await,
            );
            let request = next_request(&own).await;
            assert_eq!(request.payload, json!("draft 7"));
            assert_eq!(other.pending(None, 10).await.unwrap(), []);
            assert_eq!(other.record(request.id).await.unwrap(), None);
            let refused = other.approve(request.id, "eve").await.unwrap_err();
            assert_eq!(refused.kind(), &DeskErrorKind::Unknown);
            let refused = own.edit(request.id, json!(12), "ada").await.unwrap_err();
            assert!(matches!(refused.kind(), DeskErrorKind::DoesNotFit(_)));
            own.edit(request.id, json!("better"), "ada").await.unwrap();
            let again = own.approve(request.id, "bob").await.unwrap_err();
            assert!(matches!(again.kind(), DeskErrorKind::Closed(_)));
            request.id
        };
        let (report, id) = tokio::join!(run, person);
        assert_eq!(report.output().unwrap(), "sent: better");
        let own = desk_of(&approvals, ours).await;
        let history = own.history(None, 10).await.unwrap();
        assert_eq!(history.len(), 1);
        let by = Arc::from("ada");
        let value = json!("better");
        assert_eq!(history[0].status, ApprovalStatus::Edited { by, value });
        assert_eq!(own.record(id).await.unwrap().as_ref(), Some(&history[0]));
        assert_eq!(own.pending(None, 10).await.unwrap(), []);
        assert_eq!(engine.live_tasks(), 0);
    });
}

#[test]
fn a_decision_in_another_process_reaches_the_run() {
    paused(async {
        let store = MemoryStore::new();
        let (engine, _) = office(&store);
        let (_elsewhere, approvals) = office(&store);
        let org = org();
        let pipeline = letter(approval());
        let run = engine.run(&pipeline, 7, RunOptions::new().org(org));
        let person = async {
            let desk = desk_of(&approvals, org).await;
            let request = next_request(&desk).await;
            let refused = desk.edit(request.id, json!("x"), "ada").await.unwrap_err();
            assert!(matches!(refused.kind(), DeskErrorKind::DoesNotFit(_)));
            desk.approve(request.id, "ada").await.unwrap();
            assert!(desk.reject(request.id, "no", "bob").await.is_err());
        };
        let (report, ()) = tokio::join!(run, person);
        assert_eq!(report.output().unwrap(), "sent: draft 7");
        assert!(
            report.duration() < Duration::from_secs(2),
            "{:?}",
            report.duration()
        );
        assert_eq!(engine.live_tasks(), 0);
    });
}

#[test]
fn what_was_asked_is_there_after_a_restart_and_what_has_expired_is_not_pending() {
    paused(async {
        let store = MemoryStore::new();
        let org = org();
        let asked = {
            let (engine, approvals) = office(&store);
            let pipeline = letter(approval());
            let desk = desk_of(&approvals, org).await;
            tokio::select! {
                _ = engine.run(&pipeline, 7, RunOptions::new().org(org)) => panic!("nobody has decided"),
                request = next_request(&desk) => request,
            }
            // And now the process is gone, without another word.
        };
        let (engine, approvals) = office(&store);
        let desk = desk_of(&approvals, org).await;
        assert_eq!(
            desk.pending(None, 10).await.unwrap(),
            std::slice::from_ref(&asked)
        );
        desk.reject(asked.id, "nobody waits for it", "ada")
            .await
            .unwrap();
        let pipeline = letter(approval().deadline(Duration::from_secs(1), AtDeadline::Reject));
        let report = engine.run(&pipeline, 7, RunOptions::new().org(org)).await;
        assert_eq!(report.outcome(), Outcome::Skipped);
        approvals.flush().await.unwrap();
        assert_eq!(desk.pending(None, 10).await.unwrap(), []);
        let states = desk.history(None, 10).await.unwrap();
        let mut states: Vec<_> = states
            .iter()
            .map(|record| record.status.state().as_str())
            .collect();
        // Those of the same millisecond are in some order.
        states.sort_unstable();
        assert_eq!(states, ["expired", "rejected"]);
        let nobody = engine.run(&pipeline, 7, RunOptions::new()).await;
        let refused = nobody.output().unwrap_err().to_string();
        assert!(refused.contains("SF0716"), "{refused}");
    });
}

#[test]
fn what_happens_in_runs_is_kept_under_their_org() {
    paused(async {
        let store = Arc::new(MemoryStore::new());
        let sink = StoreSink::start(Arc::clone(&store) as Arc<dyn Store>);
        let probe = Probe::new();
        let pipeline = shop(&probe);
        let engine = Engine::builder().events(sink.clone()).build();
        let (a, b) = (org(), org());
        let mut offered = 0;
        let mut of_a = Vec::new();
        for org in [Some(a), Some(b), None, Some(a)] {
            let options = RunOptions::new();
            let options = match org {
                Some(org) => options.org(org),
                None => options,
            };
            let report = engine.run(&pipeline, 7, options).await;
            assert!(report.is_success());
            offered += report.events().accepted + report.events().dropped;
            if org == Some(a) {
                of_a.push((report.id(), report.events().accepted));
            }
        }
        sink.close(Stopping::Drain, Duration::from_secs(5)).await;
        let counts = sink.counts();
        assert_eq!(counts.offered, offered);
        assert_eq!(
            (counts.accepted, counts.dropped),
            (counts.delivered, sink.nobody())
        );
        assert!(sink.nobody() > 0);
        let scope = scope_of(a, None);
        let runs = Runs::open(&*store, &scope).await.unwrap();
        let newest = runs.newest(None, 10).await.unwrap();
        assert_eq!(newest.len(), 2);
        assert!(
            newest
                .iter()
                .all(|run| run.outcome() == Some(Outcome::Succeeded))
        );
        let log = EventLog::open(&*store, &scope).await.unwrap();
        for (run, accepted) in of_a {
            let records = log.of_run(run, 0, 1_000).await.unwrap();
            assert_eq!(records.len() as u64, accepted);
            assert!(
                records
                    .iter()
                    .all(|record| record.org_id == Some(a.to_string()))
            );
        }
    });
}
