//! However a run ends, it leaves nothing behind and gives one report.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Flow, Phase, panic_message};
use stageflow::prelude::*;
use stageflow_testkit::Gate;

use crate::support::{
    Lab, PLACEMENTS, PanicsOnDrop, PassOn, cleanups, outcomes, placed, watched, with_time_running,
};

/// What the stage `end` does after the stages beside it have started.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Succeed,
    Skip,
    ReturnFailure,
    QuestionMark,
    AskForRetry,
    PanicAtFirstPoll,
    PanicAfterSuspension,
    PanicWhenDropped,
    AttemptTimeout,
    IdleTimeout,
    RunDeadline,
    CancelByHandle,
    CancelByStage,
    DenialByHook,
}

/// How the run ends, how the stage, with which error, and why the others were stopped.
struct Expected(
    Outcome,
    Outcome,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

const WAYS: [(Way, Expected); 14] = {
    use Outcome::{Cancelled, Denied, Failed, Skipped, Succeeded, TimedOut};
    const FAILED: &str = "stage `end` failed";
    [
        (Way::Succeed, Expected(Succeeded, Succeeded, None, None, "")),
        (
            Way::Skip,
            Expected(Skipped, Skipped, Some("SF0405"), None, ""),
        ),
        (
            Way::ReturnFailure,
            Expected(Failed, Failed, Some("SF0401"), Some("SF0301"), FAILED),
        ),
        (
            Way::QuestionMark,
            Expected(Failed, Failed, Some("SF0401"), Some("SF0301"), FAILED),
        ),
        (
            Way::AskForRetry,
            Expected(Failed, Failed, Some("SF0401"), Some("SF0306"), FAILED),
        ),
        (
            Way::PanicAtFirstPoll,
            Expected(Failed, Failed, Some("SF0401"), Some("SF0302"), FAILED),
        ),
        (
            Way::PanicAfterSuspension,
            Expected(Failed, Failed, Some("SF0401"), Some("SF0302"), FAILED),
        ),
        (
            Way::PanicWhenDropped,
            Expected(
                Cancelled,
                Cancelled,
                Some("SF0402"),
                None,
                "cancelled: enough",
            ),
        ),
        (
            Way::AttemptTimeout,
            Expected(Failed, TimedOut, Some("SF0401"), Some("SF0303"), FAILED),
        ),
        (
            Way::IdleTimeout,
            Expected(Failed, TimedOut, Some("SF0401"), Some("SF0304"), FAILED),
        ),
        (
            Way::RunDeadline,
            Expected(
                TimedOut,
                Cancelled,
                Some("SF0403"),
                None,
                "the run took longer than 1s",
            ),
        ),
        (
            Way::CancelByHandle,
            Expected(
                Cancelled,
                Cancelled,
                Some("SF0402"),
                None,
                "cancelled: enough",
            ),
        ),
        (
            Way::CancelByStage,
            Expected(
                Cancelled,
                Cancelled,
                Some("SF0402"),
                None,
                "stage `end` asked to cancel the run: enough",
            ),
        ),
        (
            Way::DenialByHook,
            Expected(
                Denied,
                Denied,
                Some("SF0404"),
                Some("SF0305"),
                "stage `end` was denied",
            ),
        ),
    ]
};

/// Refuses the stage `end` if it is to be refused.
struct Doorkeeper(Way);

impl Hook for Doorkeeper {
    fn name(&self) -> &str {
        "doorkeeper"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if self.0 == Way::DenialByHook && call.stage().as_str() == "end" {
            return Flow::Deny(call.denied("doorkeeper", "not today"));
        }
        Flow::Continue
    }
}

async fn end(way: Way, cx: StageCx, ready: Gate, waiting: Gate) -> Result<u64, Stop> {
    assert!(way != Way::PanicAtFirstPoll, "at the first poll");
    ready.passed().await;
    match way {
        Way::Succeed => return Ok(1),
        Way::Skip => return Err(Stop::skip("nothing to do")),
        Way::ReturnFailure => return Err(Stop::fail("out of luck")),
        Way::QuestionMark => return Ok("one".parse()?),
        Way::AskForRetry => return Err(Stop::retry("not yet")),
        Way::PanicAfterSuspension => panic!("after a suspension"),
        Way::CancelByStage => return Err(Stop::cancel("enough")),
        _ => {}
    }
    let _armed = (way == Way::PanicWhenDropped).then(|| PanicsOnDrop("while it is dropped"));
    waiting.passed().await;
    cx.cancelled().await;
    std::future::pending().await
}

/// `first` and `slow` start at once, `end` follows `first`, `never` follows `end`.
async fn end_a_run(way: Way, expected: &Expected, places: (Placement, Placement), waits: bool) {
    let lab = Lab::with(|builder| {
        let builder = builder.intercept(Doorkeeper(way));
        if waits {
            builder.intercept(PassOn)
        } else {
            builder
        }
    });
    let goes_on = matches!(way, Way::Succeed | Way::Skip);
    let (ready, waiting) = (Gate::new(), Gate::new());

    let mut p = Pipeline::builder("endings");
    let n = p.input::<u64>();
    let tidying = lab.tidying.clone();
    let first = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, "first");
        async move { Ok(*n + 1) }
    });
    let first = p.stage("first", first).after(n);
    let (tidying, started) = (lab.tidying.clone(), ready.clone());
    let slow = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
        let (tidying, started) = (tidying.clone(), started.clone());
        async move {
            tidying.add(&cx, "slow");
            started.let_through(1);
            if !goes_on {
                std::future::pending::<()>().await;
            }
            Ok(2_u64)
        }
    });
    let slow = placed(p.stage("slow", slow), places.0).after(n);
    let waits_for_end = waiting.clone();
    let body = watched(&lab.probe, move |cx, _: Arc<u64>| {
        end(way, cx, ready.clone(), waits_for_end.clone())
    });
    let mut stage = placed(p.stage("end", body), places.1);
    if way == Way::AttemptTimeout {
        stage = stage.timeout(1.secs());
    }
    if way == Way::IdleTimeout {
        stage = stage.idle_timeout(1.secs());
    }
    let ended = stage.after(first);
    let never = p
        .stage(
            "never",
            stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b)),
        )
        .after((ended, slow));
    let pipeline = p.output(never).build().unwrap();

    let mut options = RunOptions::new();
    if way == Way::RunDeadline {
        options = options.deadline(1.secs());
    }
    let run = lab.engine.run(&pipeline, 5, options);
    let handle = run.handle();
    let cancel = async {
        if matches!(way, Way::CancelByHandle | Way::PanicWhenDropped) {
            waiting.crowd(1).await;
            assert!(handle.cancel("enough"));
        }
    };
    let ending = Box::pin(async { tokio::join!(run, cancel) });
    let (report, ()) = with_time_running(ending).await;

    let Expected(outcome, stage, run_code, stage_code, reason) = expected;
    assert_eq!(report.outcome(), *outcome);
    let beside = if goes_on {
        Outcome::Succeeded
    } else {
        Outcome::Cancelled
    };
    let after = if goes_on {
        *outcome
    } else {
        Outcome::Cancelled
    };
    assert_eq!(
        outcomes(&report),
        [
            "first succeeded".to_owned(),
            format!("slow {beside}"),
            format!("end {stage}"),
            format!("never {after}")
        ]
    );
    assert_eq!(report.output().err().map(|error| error.code()), *run_code);
    assert_eq!(report.error().map(StageError::code), *stage_code);
    assert_eq!(
        report.errors().len(),
        usize::from(stage_code.is_some()),
        "{:?}",
        report.errors()
    );
    assert_eq!(
        report.stage("end").unwrap().error().map(StageError::kind),
        report.error().map(StageError::kind)
    );
    assert_eq!(
        report
            .cancel_reason()
            .map(ToString::to_string)
            .unwrap_or_default(),
        *reason
    );
    assert_eq!(
        report.value(first).as_deref(),
        Some(&6),
        "what was finished is kept"
    );
    assert_eq!(
        cleanups(&report),
        lab.tidying
            .ran()
            .iter()
            .map(|name| format!("{name} succeeded"))
            .collect::<Vec<_>>()
    );
    let said = lab.assert_nothing_left().await;
    let last = if reason.is_empty() {
        format!("run {outcome}")
    } else {
        format!("run {outcome}: {reason}")
    };
    assert_eq!(said.last(), Some(&last));
    let counts = report.events();
    assert_eq!((counts.offered, counts.dropped), (said.len() as u64, 0));
}

/// All cases, also after one that is wrong: a pattern says more than a single failure.
async fn end_runs(waits: bool, places: impl Fn(Placement, Placement) -> bool) {
    let mut wrong = Vec::new();
    for (way, expected) in &WAYS {
        for slow in PLACEMENTS {
            for end in PLACEMENTS.into_iter().filter(|end| places(slow, *end)) {
                let case = AssertUnwindSafe(end_a_run(*way, expected, (slow, end), waits));
                if let Err(payload) = case.catch_unwind().await {
                    wrong.push(format!(
                        "{way:?}, slow {slow:?}, end {end:?}: {}",
                        panic_message(payload)
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn every_ending_leaves_nothing_and_reports_the_same_shape() {
    end_runs(false, |_, end| end != Placement::Blocking).await;
}

#[tokio::test(start_paused = true)]
async fn every_ending_of_a_blocking_stage_does_too() {
    end_runs(false, |_, end| end == Placement::Blocking).await;
}

#[tokio::test(start_paused = true)]
async fn every_ending_inside_layers_that_wait_does_too() {
    end_runs(true, |_, end| end != Placement::Blocking).await;
}

#[tokio::test(start_paused = true)]
async fn every_ending_of_a_blocking_stage_inside_layers_that_wait_does_too() {
    end_runs(true, |_, end| end == Placement::Blocking).await;
}
