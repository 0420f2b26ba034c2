//! How a run ends that is not let in, and what is told of it.

use std::pin::Pin;
use std::time::Duration;

use stageflow::events::EventKind;
use stageflow::executor::RunErrorKind;
use stageflow::interceptors::{Admission, Arrival, Pass, Refusal, RefusalKind};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused};

use super::{Porter, one_stage, org, refused, said};
use crate::support::{Lab, Log, undisturbed};

#[test]
fn nothing_of_a_refused_run_runs_and_its_ending_says_why() {
    let cases = [
        (
            RefusalKind::Unauthenticated,
            Outcome::Denied,
            "show valid credentials",
        ),
        (
            RefusalKind::Forbidden,
            Outcome::Denied,
            "you may not do this",
        ),
        (
            RefusalKind::Busy,
            Outcome::Failed,
            "too many requests at present; try again later",
        ),
        (
            RefusalKind::Undecided,
            Outcome::Failed,
            "this cannot be decided at present; try again later",
        ),
    ];
    for (kind, outcome, public) in cases {
        paused(async {
            let lab = Lab::with(|engine| {
                engine.admit(Porter::new("tokens", move |arrival| {
                    arrival.audit(said("failure"));
                    refused(kind)
                }))
            });
            let log = Log::default();
            let (pipeline, _) = one_stage(&log);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.outcome(), outcome);
            assert_eq!(log.lines(), [""; 0], "a stage ran");
            assert!(report.stages().all(|stage| stage.attempts() == 0));
            assert_eq!(
                lab.sink.names(),
                ["run.started", "auth.failure", "run.ended"]
            );
            let error = report.output().unwrap_err();
            assert_eq!(
                error.to_string(),
                "SF0414: pipeline `one` was not let in: admission `tokens`: SF0605: the token is over"
            );
            let RunErrorKind::NotAdmitted(refusal) = error.kind() else {
                panic!("{error:?}");
            };
            assert_eq!((refusal.kind(), refusal.code()), (kind, "SF0605"));
            assert_eq!(refusal.public(), public);
        });
    }
}

#[test]
fn the_first_who_refuses_is_the_last_who_is_asked() {
    paused(async {
        let log = Log::default();
        let engine = undisturbed()
            .admit(Porter::new("first", |_| refused(RefusalKind::Busy)).told_in(&log))
            .admit(Porter::open("second").told_in(&log))
            .build();
        let (pipeline, _) = one_stage(&log);
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(log.lines(), ["first asked"]);
    });
}

#[test]
fn whoever_may_ask_again_is_told_when() {
    paused(async {
        let engine = undisturbed()
            .admit(Porter::new("quota", |_| {
                refused(RefusalKind::Busy).map_err(|refusal| refusal.retry_in(3.secs()))
            }))
            .build();
        let (pipeline, _) = one_stage(&Log::default());
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(
            report.output().unwrap_err().to_string(),
            "SF0414: pipeline `one` was not let in: admission `quota`: SF0605: the token is over; ask again in 3s"
        );
    });
}

#[test]
fn a_panic_at_the_door_lets_nobody_in() {
    paused(async {
        let lab = Lab::with(|engine| engine.admit(Porter::new("odd", |_| panic!("what?"))));
        let log = Log::default();
        let (pipeline, _) = one_stage(&log);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(log.lines(), [""; 0]);
        let error = report.output().unwrap_err().to_string();
        assert_eq!(
            error,
            "SF0414: pipeline `one` was not let in: admission `odd`: it panicked: what?"
        );
        assert_eq!(
            lab.sink.names(),
            ["run.started", "tenant.refused", "run.ended"]
        );
    });
}

/// Panics before it has made its future.
struct Hasty;

impl Admission for Hasty {
    fn name(&self) -> &str {
        "hasty"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn admit<'s, 'a, 'b, 'f>(
        &'s self,
        _: &'a mut Arrival<'b>,
    ) -> Pin<Box<dyn Future<Output = Result<Pass, Refusal>> + Send + 'f>>
    where
        's: 'f,
        'a: 'f,
        'b: 'f,
    {
        panic!("at once")
    }
}

#[test]
fn a_panic_before_there_is_anything_to_wait_for_is_the_same() {
    paused(async {
        let lab = Lab::with(|engine| engine.admit(Hasty));
        let log = Log::default();
        let (pipeline, _) = one_stage(&log);
        let options = RunOptions::new().org(org());
        let report = lab.engine.run(&pipeline, 1, options).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(log.lines(), [""; 0]);
        assert_eq!(
            lab.sink.names(),
            ["run.started", "auth.failure", "run.ended"]
        );
        let orgs = lab.sink.all();
        let mut orgs = orgs.iter().map(|one| one.run.identity().org_id());
        assert!(orgs.all(|org| org.is_none()), "nobody proved it");
    });
}

#[test]
fn a_run_can_be_stopped_while_it_waits_at_the_door() {
    paused(async {
        let gate = Gate::new();
        let lab = Lab::with(|engine| engine.admit(Porter::open("slow").behind(&gate)));
        let log = Log::default();
        let (pipeline, _) = one_stage(&log);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new().org(org()));
        let handle = run.handle();
        let (report, ()) = tokio::join!(run, async {
            gate.crowd(1).await;
            handle.cancel("enough");
        });
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(log.lines(), [""; 0]);
        assert_eq!(lab.sink.names(), ["run.started", "run.ended"]);
        assert_eq!(gate.waiting(), 0, "the door was left");
    });
}

#[test]
fn the_deadline_counts_at_the_door() {
    paused(async {
        let lab = Lab::with(|engine| engine.admit(Porter::open("slow").behind(&Gate::new())));
        let log = Log::default();
        let (pipeline, _) = one_stage(&log);
        let options = RunOptions::new().deadline(Duration::from_secs(2));
        let started = tokio::time::Instant::now();
        let report = lab.engine.run(&pipeline, 1, options).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(started.elapsed(), Duration::from_secs(2));
        assert_eq!(log.lines(), [""; 0]);
    });
}

#[test]
fn a_shutdown_finds_those_who_wait_at_the_door() {
    paused(async {
        let gate = Gate::new();
        let engine = undisturbed()
            .admit(Porter::open("slow").behind(&gate))
            .build();
        let (pipeline, _) = one_stage(&Log::default());
        let run = engine.run(&pipeline, 1, RunOptions::new());
        let (report, _) = tokio::join!(run, async {
            gate.crowd(1).await;
            engine.shutdown(1.secs()).await
        });
        assert_eq!(report.outcome(), Outcome::Cancelled);
    });
}

#[test]
fn a_run_that_is_dropped_at_the_door_leaves_nothing() {
    paused(async {
        let gate = Gate::new();
        let log = Log::default();
        let held = log.clone();
        let lab = Lab::with(|engine| {
            engine
                .admit(Porter::new("first", move |_| {
                    Ok(Pass::holding(super::Token(held.clone(), "given back")))
                }))
                .admit(Porter::open("slow").behind(&gate))
        });
        let (pipeline, _) = one_stage(&log);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        assert!(tokio::time::timeout(1.secs(), run).await.is_err());
        assert_eq!(log.lines(), ["given back"]);
        assert_eq!(lab.engine.live_tasks(), 0);
        assert!(lab.sink.names().is_empty(), "it never began");
    });
}

#[test]
fn what_was_said_of_a_run_that_is_dropped_at_the_door_is_told() {
    paused(async {
        let (gate, whose, log) = (Gate::new(), org(), Log::default());
        let held = log.clone();
        let lab = Lab::with(|engine| {
            engine
                .admit(
                    Porter::new("token", move |arrival| {
                        arrival.belongs_to(whose, None);
                        arrival.audit(said("login"));
                        Ok(Pass::holding(super::Token(held.clone(), "given back")))
                    })
                    .proving(),
                )
                .admit(Porter::open("queue").behind(&gate))
        });
        let (pipeline, _) = one_stage(&log);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        assert!(tokio::time::timeout(1.secs(), run).await.is_err());
        assert_eq!(log.lines(), ["given back"]);
        assert_eq!(lab.engine.live_tasks(), 0);
        assert_eq!(lab.sink.names(), ["run.started", "auth.login", "run.ended"]);
        lab.sink.assert_ok();
        let told = lab.sink.all();
        assert!(
            told.iter()
                .all(|one| one.run.identity().org_id() == Some(whose))
        );
        let ended = told.last().map(|one| one.event.kind().clone());
        assert!(
            matches!(
                &ended,
                Some(EventKind::RunEnded {
                    outcome: Outcome::Cancelled,
                    ..
                })
            ),
            "{ended:?}"
        );
    });
}
