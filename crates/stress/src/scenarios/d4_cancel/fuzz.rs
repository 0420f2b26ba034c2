//! Small graphs that are ended at each of their awaits in turn, in each way there is.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::CancelReason;
use stageflow::executor::Run;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec};
use tokio::time::Instant;

use crate::scenarios::t3_cancel::bench::{Bench, Built, Done, REASON, Stopped};
use crate::scenarios::t3_cancel::books::Act;
use crate::scenarios::t3_cancel::case::{Care, Case, End, Mode, Part};
use crate::scenarios::t3_cancel::check::Check;
use crate::{Breach, Lab, LabError};

/// What each stage waits for.
const SHAPES: [(&str, [&[usize]; 6]); 6] = [
    ("chain", [&[], &[0], &[1], &[2], &[3], &[4]]),
    ("fan", [&[], &[0], &[0], &[0], &[0], &[1, 2, 3, 4]]),
    ("diamonds", [&[], &[0], &[0], &[1, 2], &[3], &[3, 4]]),
    (
        "bipartite",
        [&[], &[], &[], &[0, 1, 2], &[0, 1, 2], &[0, 1, 2]],
    ),
    ("loose", [&[], &[], &[], &[], &[], &[]]),
    ("two chains", [&[], &[], &[0], &[1], &[2], &[3, 4]]),
];

/// How a run is ended at one of its awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// By its handle, from inside a stage.
    Cancel,
    /// By a stage that asks for it.
    Asked,
    Error,
    Panic,
    Retry,
    Skip,
    /// By the limit of a stage that hangs.
    Limit,
    /// By the run's deadline, while a stage hangs.
    Deadline,
    /// By its handle, between two polls of the run.
    CancelPoll,
    /// By dropping it between two polls.
    Drop,
}

const HOWS: [How; 10] = [
    How::Cancel,
    How::Asked,
    How::Error,
    How::Panic,
    How::Retry,
    How::Skip,
    How::Limit,
    How::Deadline,
    How::CancelPoll,
    How::Drop,
];

/// The limit of every stage and, a bit longer, of runs with a deadline, in milliseconds.
const LIMIT: u32 = 1001;
const DEADLINE: u32 = 601;

pub(super) fn every_await(lab: &mut Lab, bench: &Bench) -> Result<(), LabError> {
    let mut fuzzed = 0_u64;
    let graphs = lab.scaled(250);
    lab.trials(graphs, |lab, trial| {
        let (shape, upstream) = SHAPES[trial.index as usize % SHAPES.len()];
        lab.log(format!("every await of: {shape}"));
        for how in HOWS {
            // The same graph for each await: only the place of the strike changes.
            for at in 0.. {
                let case = draw(&mut trial.seed.rng(), upstream, how);
                let built = case.build(bench)?;
                let struck = strike(lab, bench, &built, how, at);
                fuzzed += 1;
                if !struck || lab.is_over() {
                    break;
                }
            }
        }
        Ok(())
    })?;
    lab.metric("polls_fuzzed", "count", fuzzed as f64);
    Ok(())
}

fn draw(rng: &mut ChaCha8Rng, upstream: [&'static [usize]; 6], how: How) -> Case {
    let places = [Placement::Inline, Placement::Inline, Placement::Spawn];
    let every = [None, Some(Placement::Inline), Some(Placement::Spawn)][rng.random_range(0..3)];
    let stage = |upstream: &[usize], rng: &mut ChaCha8Rng| {
        let place = every.unwrap_or_else(|| places[rng.random_range(0..3)]);
        let stage = StageSpec::new(Behaviour::Ok)
            .after(upstream.iter().copied())
            .placed(place);
        if how == How::Limit {
            stage.limited(LIMIT)
        } else {
            stage
        }
    };
    let stages: Vec<StageSpec> = upstream.iter().map(|up| stage(up, rng)).collect();
    let cares = [
        Care::Takes(0),
        Care::Takes(1),
        Care::Fails,
        Care::Panics,
        Care::Adds,
    ];
    let part = |rng: &mut ChaCha8Rng| Part {
        awaits: rng.random_range(0..5),
        cares: (0..rng.random_range(1..4))
            .map(|_| cares[rng.random_range(0..cares.len())])
            .collect(),
        ..Part::default()
    };
    let parts = stages.iter().map(|_| part(rng)).collect();
    let mut spec = DagSpec::new(stages);
    spec.slots = NonZeroUsize::new([0, 1, 2, 3][rng.random_range(0..4)]);
    let end = match how {
        How::Deadline => End::Deadline(DEADLINE),
        _ => End::Itself,
    };
    Case {
        layered: rng.random_bool(0.3),
        ..Case::new(spec, parts, end)
    }
}

/// Runs it once and ends it at this await. `false` if there are fewer awaits.
fn strike(lab: &mut Lab, bench: &Bench, built: &Built, how: How, at: u64) -> bool {
    let steps = &built.books.steps;
    let (done, reached) = lab.paused(async {
        let started = Instant::now();
        let run = bench.start(built);
        let handle = run.handle();
        let act = match how {
            How::Cancel => Some(Act::Call(Box::new(move || {
                handle.cancel(REASON);
            }))),
            How::Asked => Some(Act::Stop(Stop::cancel("injected"))),
            How::Error => Some(Act::Stop(Stop::fail("injected"))),
            How::Retry => Some(Act::Stop(Stop::retry("injected"))),
            How::Skip => Some(Act::Stop(Stop::skip("injected"))),
            How::Panic => Some(Act::Panic),
            How::Limit | How::Deadline => Some(Act::Hang),
            How::CancelPoll | How::Drop => None,
        };
        let Some(act) = act else {
            return Box::pin(between_polls(bench, built, run, how, at)).await;
        };
        steps.arm(at, act);
        let done = bench.seen(Some(run.await), built, started);
        (done, steps.struck().is_some())
    });
    let check = Check::new(lab, bench, built, &done);
    let waited = match how {
        How::Limit if reached => LIMIT,
        How::Deadline if reached => DEADLINE,
        _ => 0,
    };
    let cleanups = check.loosely();
    check.in_time(Duration::from_millis(waited.into()) + cleanups);
    outcome(&check, how, reached);
    reached
}

/// Ends a run after so many polls, from outside.
async fn between_polls(
    bench: &Bench,
    built: &Built,
    run: Run<'_, u64>,
    how: How,
    at: u64,
) -> (Done, bool) {
    let started = Instant::now();
    let handle = run.handle();
    let mut polls = Polls {
        run: Some(run),
        left: at + 1,
    };
    let mut report = (&mut polls).await;
    let reached = report.is_none();
    let stamp = built.books.stamps.next();
    let mut stopped = None;
    if reached {
        if how == How::CancelPoll {
            let told = Some((handle.cancel(REASON), handle.cancel("somebody else")));
            stopped = Some(Stopped {
                stamp,
                at: Instant::now(),
                told,
            });
            if let Some(run) = polls.run.take() {
                report = Some(run.await);
            }
        } else {
            drop(polls.run.take());
            bench.engine(&built.case).settled().await;
        }
    }
    let done = bench.seen(report, built, started);
    (Done { stopped, ..done }, reached)
}

/// Polls a run so many times and no more.
struct Polls<'a> {
    run: Option<Run<'a, u64>>,
    left: u64,
}

impl Future for Polls<'_> {
    type Output = Option<RunReport<u64>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        let Some(run) = &mut self.run else {
            return Poll::Ready(None);
        };
        match Pin::new(run).poll(cx) {
            Poll::Ready(report) => Poll::Ready(Some(report)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// How the run must have ended, and what the report must say of the stage where it was ended.
fn outcome(check: &Check<'_>, how: How, reached: bool) {
    let Some(report) = &check.done.report else {
        return;
    };
    let struck = check.built.books.steps.struck();
    let name = struck.map(|struck| format!("s{}", struck.stage));
    let wanted = match how {
        _ if !reached => Outcome::Succeeded,
        How::CancelPoll if is_cleaning(check) => Outcome::Succeeded,
        How::Cancel | How::Asked | How::CancelPoll | How::Drop => Outcome::Cancelled,
        How::Error | How::Panic | How::Retry | How::Limit => Outcome::Failed,
        How::Deadline => Outcome::TimedOut,
        How::Skip => skipped(check),
    };
    let said = report.outcome();
    check.holds(
        said == wanted,
        "a run that is ended says how",
        Breach::WrongStatus,
        || format!("{said}, not {wanted}, by {how:?} in {name:?}"),
    );
    let blamed: Vec<&str> = report
        .errors()
        .iter()
        .map(|error| error.stage().as_str())
        .collect();
    let at_fault: Vec<&str> = match wanted {
        Outcome::Failed => name.as_deref().into_iter().collect(),
        _ => Vec::new(),
    };
    check.holds(
        blamed == at_fault,
        "failures are blamed on the stage that failed",
        Breach::WrongStatus,
        || format!("{blamed:?}, not {at_fault:?}, by {how:?}"),
    );
    let reason = report.cancel_reason();
    let right = match (how, reason) {
        _ if wanted == Outcome::Succeeded || wanted == Outcome::Skipped => reason.is_none(),
        (How::Cancel | How::CancelPoll, Some(CancelReason::Requested(why))) => &**why == REASON,
        (How::Asked, Some(CancelReason::StageAsked { stage, .. }))
        | (
            How::Error | How::Panic | How::Retry | How::Limit,
            Some(CancelReason::StageFailed { stage }),
        ) => Some(stage.as_str()) == name.as_deref(),
        (How::Deadline, Some(CancelReason::DeadlineElapsed(after))) => {
            after.as_millis() == u128::from(DEADLINE)
        }
        _ => false,
    };
    check.holds(
        right,
        "the report says why a run was ended",
        Breach::WrongStatus,
        || format!("{reason:?} by {how:?} in {name:?}"),
    );
}

/// Whether a cancel came too late: cleanups were under way.
fn is_cleaning(check: &Check<'_>) -> bool {
    let stopped = check.done.stopped.map(|stopped| stopped.stamp);
    let rows = check.built.books.resources.rows();
    rows.iter()
        .any(|row| row.begun.is_some() && row.begun < stopped)
}

/// A skip takes its whole cone along, and nothing else: worked out stage by stage, in the order of declaration.
fn skipped(check: &Check<'_>) -> Outcome {
    let spec = &check.built.case.spec;
    let struck = check.built.books.steps.struck().map(|struck| struck.stage);
    let mut gone = vec![false; spec.len()];
    for at in 0..spec.len() {
        gone[at] = struck == Some(at) || spec.stages[at].upstream.iter().any(|up| gone[*up]);
    }
    let Some(report) = &check.done.report else {
        return Outcome::Cancelled;
    };
    for (at, stage) in report.stages().enumerate() {
        let right = gone[at] == (stage.outcome() == Outcome::Skipped)
            && gone[at] != (stage.outcome() == Outcome::Succeeded);
        check.holds(
            right && check.built.case.parts[at].mode == Mode::Ok,
            "a skip takes along what needs it, and nothing else",
            Breach::WrongStatus,
            || format!("s{at} is {}", stage.outcome()),
        );
    }
    match gone[spec.output] {
        true => Outcome::Skipped,
        false => Outcome::Succeeded,
    }
}
