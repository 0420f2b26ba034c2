//! The desk itself: its bounds, what it says, and that it is plain data.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use expect_test::expect;
use stageflow::context::{ApprovalId, FixedClock, OrgId, RunId, RunIdentity, SeededIds, UserId};
use stageflow::executor::{
    ApprovalRecord, ApprovalRequest, ApprovalStatus, Approvals, DeskError, DeskErrorKind,
    DeskOptions, EditCheck,
};
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::sleep;

use crate::support::json_text;

fn gate() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("gate");
    let n = p.input::<u64>();
    let gate = p.stage("gate", approval::<u64>().on_reject(OnReject::Fail));
    let gate = gate.after(n);
    p.output(gate).build().unwrap()
}

#[test]
fn an_engine_without_a_desk_says_what_to_do() {
    paused(async {
        let report = Engine::new().run(&gate(), 7, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        expect!["SF0301: stage `gate` failed: SF0312: `gate` cannot ask for approval: its engine has no desk; give it one with `Engine::builder().approvals(..)`; fix the cause, or make the stage `.optional()`"]
            .assert_eq(&report.errors()[0].to_string());
        assert_eq!(report.errors()[0].class(), ErrorClass::Permanent);
    });
}

#[test]
fn a_full_desk_refuses_and_another_attempt_might_help() {
    paused(async {
        let desk = ApprovalDesk::with(DeskOptions::new().max_pending(NonZeroUsize::MIN));
        let ids = SeededIds::new(7);
        let engine = Engine::builder().ids(ids).approvals(desk.clone()).build();
        let pipeline = gate();
        let first = engine.run(&pipeline, 1, RunOptions::new());
        let rest = async {
            let request = desk.next_request().await;
            let refused = engine.run(&pipeline, 2, RunOptions::new()).await;
            let error = &refused.errors()[0];
            assert_eq!(error.class(), ErrorClass::Transient);
            let text = error.to_string();
            assert!(text.contains("SF0312: `gate` cannot ask for approval: SF0410: request `apr_"));
            assert!(text.contains("was not taken: 1 are pending, and there may be no more"));
            assert_eq!(desk.pending().len(), 1, "what was refused is not kept");
            desk.approve(request.id, "ada").unwrap();
        };
        let (report, ()) = tokio::join!(first, rest);
        assert!(report.is_success());
    });
}

#[test]
fn a_value_that_does_not_survive_json_fails_the_stage() {
    paused(async {
        let mut p = Pipeline::builder("keys");
        let n = p.input::<u64>();
        let ask = async |cx: StageCx, _: Arc<u64>| {
            let odd = std::collections::BTreeMap::from([((1_u8, 2_u8), 3_u8)]);
            cx.approve(&odd, Ask::new("Well?")).await?;
            Ok(())
        };
        let ask = p.stage("ask", stage_fn(ask)).after(n);
        let pipeline = p.output(ask).build().unwrap();
        let engine = Engine::builder().approvals(ApprovalDesk::new()).build();
        let report = engine.run(&pipeline, 7, RunOptions::new()).await;
        expect!["SF0301: stage `ask` failed: SF0312: `ask` has a value that does not survive JSON: key must be a string; make it one that `serde_json` can write and read; fix the cause, or make the stage `.optional()`"]
            .assert_eq(&report.errors()[0].to_string());
    });
}

#[test]
fn the_second_to_decide_is_told_so_and_history_has_an_end() {
    paused(async {
        let desk = ApprovalDesk::with(DeskOptions::new().history(2));
        let engine = Engine::builder().approvals(desk.clone()).build();
        let pipeline = gate();
        let mut asked = Vec::new();
        for n in 1..=3 {
            let person = async {
                let request = desk.next_request().await;
                desk.approve(request.id, "ada").unwrap();
                // Also before the run has taken the decision.
                let late = desk.reject(request.id, "no", "bob").unwrap_err();
                let text = late.to_string();
                assert!(text.ends_with("is approved already, and that is for good; look at `desk.pending()` for what is open"));
                request.id
            };
            let run = engine.run(&pipeline, n, RunOptions::new());
            let (report, id) = tokio::join!(run, person);
            assert!(report.is_success());
            asked.push(id);
        }
        let kept: Vec<_> = desk.history().iter().map(|it| it.request.id).collect();
        assert_eq!(kept, asked[1..]);
        let forgotten = desk.approve(asked[0], "ada").unwrap_err();
        assert_eq!(forgotten.kind(), &DeskErrorKind::Unknown);
        assert!(forgotten.to_string().contains("is not known here"));
    });
}

#[test]
fn whoever_stops_waiting_for_a_request_takes_none_away() {
    paused(async {
        let desk = ApprovalDesk::new();
        let engine = Engine::builder().approvals(desk.clone()).build();
        let pipeline = gate();
        let person = async {
            let given_up = tokio::time::timeout(1.secs(), desk.next_request()).await;
            assert!(given_up.is_err());
            sleep(10.secs()).await;
            let request = desk.next_request().await;
            let again = tokio::time::timeout(1.secs(), desk.next_request()).await;
            assert!(again.is_err(), "each is given once");
            desk.approve(request.id, "ada").unwrap();
        };
        let run = async {
            sleep(5.secs()).await;
            engine.run(&pipeline, 7, RunOptions::new()).await
        };
        let (report, ()) = tokio::join!(run, person);
        assert!(report.is_success());
    });
}

#[test]
fn records_are_plain_data_and_say_where_who_and_when() {
    paused(async {
        let ids = SeededIds::new(7);
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let clock = || FixedClock::new(noon);
        let desk = ApprovalDesk::with(DeskOptions::new().wall_clock(clock()));
        let builder = Engine::builder().approvals(desk.clone());
        let engine = builder.ids(SeededIds::new(8)).wall_clock(clock()).build();
        let root = RunIdentity::new(RunId::generate(&ids))
            .with_org_id(OrgId::generate(&ids))
            .with_user_id(UserId::generate(&ids));
        let child = root.child(RunId::generate(&ids), "research").unwrap();
        let child = child.child(RunId::generate(&ids), "summarise[3]").unwrap();
        let pipeline = gate();
        let options = RunOptions::new().identity(child.clone());
        let person = async {
            let request = desk.next_request().await;
            desk.reject(request.id, "too much", "ada").unwrap();
        };
        let (_, ()) = tokio::join!(engine.run(&pipeline, 7, options), person);
        let record = desk.history().remove(0);
        assert_eq!(record.request.org, root.org_id());
        assert_eq!(record.request.user, root.user_id());
        assert_eq!(record.request.correlation, root.correlation_id());
        assert_eq!(record.closed_at, Some(noon));
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<ApprovalRecord>(&text).unwrap(),
            record
        );
        let mut shown = serde_json::to_value(&record).unwrap();
        for id in ["id", "org", "user", "run", "correlation"] {
            shown["request"].as_object_mut().unwrap().remove(id);
        }
        expect![[r#"{"closed_at":{"nanos_since_epoch":0,"secs_since_epoch":1700000000},"request":{"asked_at":{"nanos_since_epoch":0,"secs_since_epoch":1700000000},"lineage":["research","summarise[3]"],"path":"gate","payload":7,"pipeline":"gate","title":"Approve this?"},"status":{"by":"ada","reason":"too much","state":"rejected"}}"#]]
            .assert_eq(&json_text(&shown));
    });
}

#[test]
fn statuses_know_who_decided() {
    let by: Arc<str> = "ada".into();
    let status = ApprovalStatus::Approved {
        by: Arc::clone(&by),
    };
    assert_eq!(status.by(), Some(&by));
    assert_eq!(ApprovalStatus::Withdrawn.by(), None);
    assert!(
        ApprovalId::generate(&SeededIds::new(1))
            .to_string()
            .starts_with("apr_")
    );
}

/// A desk that is slow to tell: decisions are seen only when a request is closed.
struct Slow(ApprovalDesk);

#[async_trait]
impl Approvals for Slow {
    async fn submit(&self, request: ApprovalRequest, check: EditCheck) -> Result<(), DeskError> {
        self.0.submit(request, check).await
    }

    async fn decision(&self, _: ApprovalId) -> Result<ApprovalStatus, DeskError> {
        std::future::pending().await
    }

    fn close(&self, id: ApprovalId, status: ApprovalStatus) -> Option<ApprovalStatus> {
        self.0.close(id, status)
    }
}

#[test]
fn a_decision_that_was_taken_counts_even_if_it_is_seen_after_the_deadline() {
    paused(async {
        let desk = ApprovalDesk::new();
        let engine = Engine::builder().approvals(Slow(desk.clone())).build();
        let mut p = Pipeline::builder("slow");
        let n = p.input::<u64>();
        let gate = approval::<u64>().deadline(60.secs(), AtDeadline::Reject);
        let gate = p.stage("gate", gate).after(n);
        let pipeline = p.output(gate).build().unwrap();
        let person = async {
            let request = desk.next_request().await;
            desk.approve(request.id, "ada").unwrap();
        };
        let run = engine.run(&pipeline, 7, RunOptions::new());
        let (report, ()) = tokio::join!(run, person);
        assert_eq!(
            (report.output().ok(), report.duration()),
            (Some(&7), 60.secs())
        );
    });
}
