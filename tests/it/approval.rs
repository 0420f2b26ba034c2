//! Gates: what a person decides, and what becomes of the run.

use std::num::NonZeroUsize;
use std::sync::Arc;

use expect_test::expect;
use serde_json::json;
use stageflow::events::{ApprovalState, EventKind};
use stageflow::executor::{Approval, ApprovalRequest, ApprovalStatus, DeskErrorKind};
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};
use tokio::time::sleep;

use crate::support::{Lab, PLACEMENTS, PassOn, outcomes, placed, watched};

/// A lab with a desk.
pub(crate) fn office() -> (Lab, ApprovalDesk) {
    let desk = ApprovalDesk::new();
    (Lab::with(|builder| builder.approvals(desk.clone())), desk)
}

/// `write` gives a draft, `sign` is the gate, `send` gives what was signed.
pub(crate) fn letter(lab: &Lab, gate: Approval<String>) -> Pipeline<u64, String> {
    let mut p = Pipeline::builder("letter");
    let n = p.input::<u64>();
    let write = watched(&lab.probe, async |_, n: Arc<u64>| Ok(format!("draft {n}")));
    let draft = p.stage("write", write).after(n);
    let signed = p.stage("sign", gate).after(draft);
    let send = async |_: StageCx, text: Arc<String>| Ok(format!("sent: {text}"));
    let sent = p.stage("send", stage_fn(send)).after(signed);
    p.output(sent).build().unwrap()
}

/// What the events say of requests.
fn told(lab: &Lab) -> Vec<String> {
    let all = lab.sink.all();
    let changes = all.iter().filter_map(|told| match told.event.kind() {
        EventKind::Approval(change) => Some(match &change.by {
            Some(by) => format!("{} {} by {by}", change.path, change.state),
            None => format!("{} {}", change.path, change.state),
        }),
        _ => None,
    });
    changes.collect()
}

#[test]
fn what_was_approved_goes_on_as_it_is_and_nothing_runs_twice() {
    paused(async {
        let (lab, desk) = office();
        let pipeline = letter(&lab, approval().ask("Send this?"));
        let run = lab.engine.run(&pipeline, 7, RunOptions::new());
        let id = run.id();
        let person = async {
            let request = desk.next_request().await;
            sleep(3600.secs()).await;
            assert_eq!((&*request.path, &*request.title), ("sign", "Send this?"));
            assert_eq!(request.payload, json!("draft 7"));
            assert_eq!((request.run, &*request.pipeline), (id, "letter"));
            assert_eq!(desk.find(id, "sign").unwrap().id, request.id);
            assert_eq!(desk.find(id, "write"), None);
            desk.approve(request.id, "ada").unwrap();
            request.id
        };
        let (report, request) = tokio::join!(run, person);
        assert_eq!(report.output().unwrap(), "sent: draft 7");
        assert_eq!(report.duration(), 3600.secs());
        assert_eq!(lab.probe.calls(), 1, "the stage before the gate");
        assert_eq!(report.stage("sign").unwrap().attempts(), 1);
        assert_eq!(told(&lab), ["sign pending", "sign approved by ada"]);
        let record = desk.record(request).unwrap();
        assert_eq!(record.status, ApprovalStatus::Approved { by: "ada".into() });
        assert!(desk.pending().is_empty());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn an_edited_value_takes_the_place_of_the_one_that_was_asked_for() {
    paused(async {
        let (lab, desk) = office();
        let pipeline = letter(&lab, approval());
        let person = async {
            let request = desk.next_request().await;
            let error = desk.edit(request.id, json!(12), "ada").unwrap_err();
            assert!(matches!(error.kind(), DeskErrorKind::DoesNotFit(_)));
            expect!["was not edited, because the stage cannot read the value: invalid type: integer `12`, expected a string; it is still pending: change the value, and call `edit` again"]
                .assert_eq(error.to_string().split_once("` ").unwrap().1);
            assert_eq!(
                desk.pending(),
                std::slice::from_ref(&request),
                "still pending"
            );
            desk.edit(request.id, json!("better"), "ada").unwrap();
        };
        let run = lab.engine.run(&pipeline, 7, RunOptions::new());
        let (report, ()) = tokio::join!(run, person);
        assert_eq!(report.output().unwrap(), "sent: better");
        assert_eq!(told(&lab), ["sign pending", "sign edited by ada"]);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_rejection_skips_fails_or_cancels() {
    let rejected = |on_reject| {
        paused(async move {
            let (lab, desk) = office();
            let pipeline = letter(&lab, approval().on_reject(on_reject));
            let person = async {
                let request = desk.next_request().await;
                desk.reject(request.id, "too long", "ada").unwrap();
            };
            let run = lab.engine.run(&pipeline, 7, RunOptions::new());
            let (report, ()) = tokio::join!(run, person);
            assert_eq!(told(&lab), ["sign pending", "sign rejected by ada"]);
            assert_eq!(
                report.value_of("write").unwrap().downcast().as_deref(),
                Some(&"draft 7".to_owned())
            );
            lab.assert_nothing_left().await;
            (report.outcome(), report.output().unwrap_err().to_string())
        })
    };
    let (outcome, text) = rejected(OnReject::Skip);
    assert_eq!(outcome, Outcome::Skipped);
    expect!["SF0405: pipeline `letter` has no output: stage `sign` skipped (rejected by ada: too long); make it `.optional()` if the output can do without it"].assert_eq(&text);
    let (outcome, text) = rejected(OnReject::Fail);
    assert_eq!(outcome, Outcome::Failed);
    expect!["SF0401: pipeline `letter` failed: SF0301: stage `sign` failed: SF0312: `sign` was rejected by ada: too long; let the run do without it with `OnReject::Skip`, or change what is asked for; fix the cause, or make the stage `.optional()`"].assert_eq(&text);
    let (outcome, text) = rejected(OnReject::CancelRun);
    assert_eq!(outcome, Outcome::Cancelled);
    expect!["SF0402: pipeline `letter` was stopped: stage `sign` asked to cancel the run: rejected by ada: too long; take what was finished from the report"].assert_eq(&text);
}

#[test]
fn a_deadline_decides_when_nobody_does_and_what_comes_later_is_refused() {
    for (then, outcome) in [
        (AtDeadline::Approve, Outcome::Succeeded),
        (AtDeadline::Reject, Outcome::Skipped),
    ] {
        paused(async {
            let (lab, desk) = office();
            let pipeline = letter(&lab, approval().deadline(60.secs(), then));
            let run = lab.engine.run(&pipeline, 7, RunOptions::new());
            let late = async {
                let request = desk.next_request().await;
                assert_eq!(request.deadline, Some(request.asked_at + 60.secs()));
                sleep(60.secs() + 1.millis()).await;
                let closed = DeskErrorKind::Closed(ApprovalState::Expired);
                for error in [
                    desk.approve(request.id, "ada"),
                    desk.edit(request.id, json!("better"), "ada"),
                    desk.edit(request.id, json!(3), "ada"),
                    desk.reject(request.id, "no", "ada"),
                ] {
                    assert_eq!(error.unwrap_err().kind(), &closed);
                }
                request.id
            };
            let (report, request) = tokio::join!(run, late);
            assert_eq!((report.outcome(), report.duration()), (outcome, 60.secs()));
            assert_eq!(told(&lab), ["sign pending", "sign expired"]);
            let record = desk.record(request).unwrap();
            assert_eq!(record.status, ApprovalStatus::Expired, "{then:?}");
            if then == AtDeadline::Reject {
                let error = report.output().unwrap_err().to_string();
                assert!(error.contains("rejected by the deadline: nobody decided within 60s"));
            }
        });
    }
}

#[test]
fn a_decision_at_the_last_moment_counts() {
    paused(async {
        let (lab, desk) = office();
        let gate = approval().deadline(60.secs(), AtDeadline::Reject);
        let pipeline = letter(&lab, gate);
        let person = async {
            let request = desk.next_request().await;
            sleep(60.secs()).await;
            desk.approve(request.id, "ada")
        };
        // The person is polled first when both timers fire.
        let (decided, report) =
            tokio::join!(person, lab.engine.run(&pipeline, 7, RunOptions::new()));
        assert_eq!(decided.is_ok(), report.is_success());
    });
}

#[test]
fn limits_for_stages_do_not_hold_for_a_gate_but_the_deadline_of_the_run_does() {
    for waits in [false, true] {
        paused(async {
            let desk = ApprovalDesk::new();
            let lab = Lab::with(|builder| {
                let builder = builder
                    .approvals(desk.clone())
                    .intercept(Timeout::idle(1.secs()).total(1.secs()));
                if waits {
                    builder.intercept(PassOn)
                } else {
                    builder
                }
            });
            let mut p = Pipeline::builder("limits");
            let n = p.input::<u64>();
            let gate = p.stage("gate", approval::<u64>());
            let gate = gate.timeout(1.secs()).idle_timeout(1.secs()).after(n);
            let pipeline = p.output(gate).build().unwrap();

            let person = async {
                let request = desk.next_request().await;
                sleep(3600.secs()).await;
                desk.approve(request.id, "ada").unwrap();
            };
            let run = lab.engine.run(&pipeline, 7, RunOptions::new());
            let (report, ()) = tokio::join!(run, person);
            assert_eq!(report.output().unwrap(), &7);

            let options = RunOptions::new().deadline(60.secs());
            let report = lab.engine.run(&pipeline, 7, options).await;
            assert_eq!(
                (report.outcome(), report.duration()),
                (Outcome::TimedOut, 60.secs())
            );
            let states: Vec<_> = desk.history().iter().map(|it| it.status.state()).collect();
            assert_eq!(states, [ApprovalState::Approved, ApprovalState::Withdrawn]);
        });
    }
}

#[test]
fn a_gate_holds_no_task_and_no_thread_wherever_it_is_placed() {
    for placement in PLACEMENTS {
        paused(async {
            let desk = ApprovalDesk::new();
            let lab = Lab::with(|builder| builder.approvals(desk.clone()).placement(placement));
            let mut p = Pipeline::builder("placed");
            let n = p.input::<u64>();
            let one = p.stage("one", approval::<u64>()).after(n);
            let two = placed(p.stage("two", approval::<u64>()), placement).after(one);
            let pipeline = p.output(two).build().unwrap();
            let person = async {
                for _ in 0..2 {
                    let request = desk.next_request().await;
                    assert_eq!(lab.engine.live_tasks(), 0, "{placement:?}");
                    desk.approve(request.id, "ada").unwrap();
                }
            };
            let run = lab.engine.run(&pipeline, 7, RunOptions::new());
            let (report, ()) = tokio::join!(run, person);
            assert!(report.is_success(), "{placement:?}");
        });
    }
}

#[test]
fn one_rejection_cancels_the_siblings_and_withdraws_their_requests() {
    paused(async {
        let (lab, desk) = office();
        let mut p = Pipeline::builder("siblings");
        let n = p.input::<u64>();
        let gate = || approval::<u64>().on_reject(OnReject::CancelRun);
        let a = p.stage("a", gate()).after(n);
        let b = p.stage("b", gate()).after(n);
        let work = script::ok::<Arc<u64>, u64>(3).taking(3600.secs());
        let work = p.stage("work", work).after(n);
        let c = p.stage("c", gate()).after(n);
        let sum = script::ok::<_, u64>(6);
        let sum = p.stage("sum", sum).after(vec![a, b, work, c]);
        let pipeline = p.output(sum).build().unwrap();
        let person = async {
            let asked: Vec<_> = [
                desk.next_request().await,
                desk.next_request().await,
                desk.next_request().await,
            ]
            .into();
            sleep(5.secs()).await;
            desk.approve(asked[0].id, "ada").unwrap();
            sleep(5.secs()).await;
            desk.reject(asked[1].id, "no", "ada").unwrap();
            asked
        };
        let run = lab.engine.run(&pipeline, 7, RunOptions::new());
        let (report, asked) = tokio::join!(run, person);
        assert_eq!(
            (report.outcome(), report.duration()),
            (Outcome::Cancelled, 10.secs())
        );
        assert_eq!(
            outcomes(&report)[..4],
            [
                "a succeeded",
                "b cancelled",
                "work cancelled",
                "c cancelled"
            ]
        );
        assert_eq!(report.value(a).as_deref(), Some(&7));
        let state = |request: &ApprovalRequest| desk.record(request.id).unwrap().status.state();
        let states: Vec<_> = asked.iter().map(state).collect();
        assert_eq!(
            states,
            [
                ApprovalState::Approved,
                ApprovalState::Rejected,
                ApprovalState::Withdrawn
            ]
        );
        let late = desk.approve(asked[2].id, "ada").unwrap_err();
        assert_eq!(
            late.kind(),
            &DeskErrorKind::Closed(ApprovalState::Withdrawn)
        );
        assert!(told(&lab).contains(&"c withdrawn".to_owned()));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_dropped_run_withdraws_what_it_asked() {
    paused(async {
        let (lab, desk) = office();
        let pipeline = letter(&lab, approval());
        {
            let mut run = Box::pin(lab.engine.run(&pipeline, 7, RunOptions::new()));
            tokio::select! {
                biased;
                _ = &mut run => panic!("nobody decided"),
                () = sleep(5.secs()) => {}
            }
            assert_eq!(desk.pending().len(), 1);
        }
        lab.engine.settled().await;
        assert_eq!(desk.pending(), []);
        assert_eq!(desk.history()[0].status, ApprovalStatus::Withdrawn);
        assert_eq!(told(&lab), ["sign pending", "sign withdrawn"]);
    });
}

#[test]
fn gates_leave_room_for_others_in_a_narrow_run() {
    paused(async {
        let (lab, desk) = office();
        let mut p = Pipeline::builder("narrow");
        let n = p.input::<u64>();
        let second = || script::ok::<Arc<u64>, u64>(1).taking(1.secs());
        let mut all = Vec::new();
        for at in 0..3 {
            let gate = p.stage(format!("g{at}"), approval::<u64>()).after(n);
            all.push(p.stage(format!("after{at}"), second()).after(gate));
            all.push(p.stage(format!("beside{at}"), second()).after(n));
        }
        let sum = async |_: StageCx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
        let sum = p.stage("sum", stage_fn(sum)).after(all);
        let pipeline = p.output(sum).build().unwrap();
        let options = RunOptions::new().concurrency(NonZeroUsize::MIN);
        let person = async {
            sleep(10.secs()).await;
            let asked = desk.pending();
            assert_eq!(asked.len(), 3, "all are asked at once");
            for request in asked {
                desk.approve(request.id, "ada").unwrap();
            }
        };
        let (report, ()) = tokio::join!(lab.engine.run(&pipeline, 7, options), person);
        assert_eq!(report.output().unwrap(), &6);
        let ended = |name: &str| report.stage(name).unwrap().ended().unwrap();
        let beside = ["beside0", "beside1", "beside2"].map(ended);
        assert_eq!(beside, [1.secs(), 2.secs(), 3.secs()], "one at a time");
        let after = ["after0", "after1", "after2"].map(ended);
        assert_eq!(after, [11.secs(), 12.secs(), 13.secs()], "also afterwards");
    });
}
