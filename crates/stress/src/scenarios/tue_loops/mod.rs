//! Loops that have to end.

mod case;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stageflow::context::{LoopEnd, StageErrorKind};
use stageflow::graph::BuildError;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use self::case::{Case, End, GOOD, Step};
use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    let (own, engine) = (Control::own, Control::engine);
    Scenario::new("TUE-LOOPS", "a guard that is never content")
        .proves(
            "work that is sent back goes round a bounded number of times and a bounded time, a lack of progress is noticed, \
             and what a round ends with in place of a value is what the stage ends with",
        )
        .theme(Theme::Tue)
        .tier(Tier::Daily)
        .targets(["DAG-003", "AGENT-005", "ROUTE-007"])
        .expected(Duration::from_secs(2))
        .control(own("one-more", "goes round once more than it may"))
        .control(own("deaf", "takes no notice of the time it has"))
        .control(own("blind", "does not look whether anything changes"))
        .control(engine(
            "swallow-panic",
            "says of one panic in five that it was a skip",
            "SwallowPanic",
            5,
        ))
        .control(engine(
            "forget-part-end",
            "does not tell of one end of a round in a hundred",
            "ForgetPartEnd",
            100,
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let sink = RecordingSink::new();
    let engine = lab.engine().events(sink.clone()).build();
    let mut rounds = 0;
    lab.trials(lab.scaled(3000), |lab, trial| {
        let case = match trial.index % 1000 {
            0 => Case::endless(2000),
            _ => Case::draw(&mut trial.seed.rng()),
        };
        rounds += ends_as_it_should(lab, &engine, &sink, &case)?;
        Ok(())
    })?;
    lab.metric("steps", "count", rounds as f64);
    Ok(())
}

/// Runs a loop and holds what came of it against the rules. Gives how many steps it took.
fn ends_as_it_should(
    lab: &mut Lab,
    engine: &Engine,
    sink: &RecordingSink,
    case: &Case,
) -> Result<u64, LabError> {
    let pipeline = built(lab, case).map_err(LabError::new)?;
    let report = lab.paused(async { engine.run(&pipeline, 1, RunOptions::new()).await });
    let parts = report.stage("a").map(|stage| stage.parts());
    let steps = parts.map_or(0, |parts| parts.started);
    let found = case::Outcome {
        text: told(&report),
        steps,
        took: report.duration().as_millis() as u64,
    };
    let wanted = case.predict();
    lab.check(
        found == wanted,
        "a loop ends when its rules say so, and as they say",
        Breach::WrongStatus,
        || format!("{found:?}, not {wanted:?}, of {case:?}"),
    );
    lab.check(
        steps <= u64::from(case.at_most) * 2,
        "a loop has no more rounds than it may",
        Breach::Duplicated,
        || format!("{steps} steps of {case:?}"),
    );
    let grammar = sink.check_against(pipeline.plan());
    lab.check(
        grammar.is_ok(),
        "every round that starts ends, inside its stage",
        Breach::Lost,
        || format!("{grammar:?}"),
    );
    sink.clear();
    Ok(steps)
}

fn told(report: &RunReport<u64>) -> String {
    let kind = report.error().map(|error| (error.kind(), error.path()));
    match (report.outcome(), kind) {
        (Outcome::Succeeded, _) => match report.output() {
            Ok(value) => format!("gave {value}"),
            Err(error) => error.to_string(),
        },
        (_, Some((StageErrorKind::LoopEnded { rounds, why }, _))) => {
            let why = match why {
                LoopEnd::Rounds => "rounds",
                LoopEnd::Time(_) => "time",
                LoopEnd::Unchanged => "unchanged",
                _ => "something else",
            };
            format!("gave up after {rounds}: {why}")
        }
        (Outcome::Failed, Some((_, path))) => format!("failed: {path}"),
        (outcome, _) => outcome.to_string(),
    }
}

fn built(lab: &Lab, case: &Case) -> Result<Pipeline<u64, u64>, BuildError> {
    let more = u32::from(lab.is_broken("one-more"));
    let rounds = NonZeroU32::MIN.saturating_add(case.at_most - 1 + more);
    let within = case
        .within
        .filter(|_| !lab.is_broken("deaf"))
        .map(|limit| Duration::from_millis(limit.into()));
    let watched = case.watched && !lab.is_broken("blind");
    let mut p = Pipeline::builder("loop");
    let n = p.input::<u64>();
    macro_rules! wired {
        ($stage:expr) => {{
            let mut stage = $stage.at_most(rounds);
            if let Some(limit) = within {
                stage = stage.within(limit);
            }
            if watched {
                stage = stage.stop_when_unchanged();
            }
            let stage = p.stage("a", stage);
            let stage = if case.spawned { stage.spawn() } else { stage };
            stage.after(n)
        }};
    }
    let out = if case.guard.is_empty() {
        let step = played(&case.write);
        let stage = stage_fn(move |_cx: StageCx, _n: Arc<u64>| step());
        wired!(repeat(stage).until(|n: &u64| *n == GOOD))
    } else {
        let (write, guard) = (played(&case.write), played(&case.guard));
        let write = stage_fn(move |_cx: StageCx, _input: (Arc<u64>, Last)| write());
        let guard = stage_fn(move |_cx: StageCx, _draft: Arc<u64>| {
            let verdict = guard();
            async move {
                Ok(match verdict.await? {
                    GOOD => Review::Pass,
                    feedback => Review::Revise(feedback),
                })
            }
        });
        wired!(correct(write, guard))
    };
    p.output(out).build()
}

type Last = Option<Arc<Revision<u64, u64>>>;

/// Plays a script, call by call. After its end the last step is played again.
fn played(
    script: &[Step],
) -> impl Fn() -> futures_util::future::BoxFuture<'static, Result<u64, Stop>> + Send + Sync + 'static
{
    let (script, next) = (script.to_vec(), AtomicUsize::new(0));
    move || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let step = script.get(at).or_else(|| script.last()).copied();
        Box::pin(async move {
            let Some(Step { takes, end }) = step else {
                return Err(Stop::fail("an empty script"));
            };
            if takes > 0 {
                tokio::time::sleep(Duration::from_millis(takes.into())).await;
            }
            match end {
                End::Value(value) => Ok(value),
                End::Cancel => Err(Stop::cancel("told to")),
                End::Fail => Err(Stop::fail("told to")),
                End::Panic => std::panic::resume_unwind(Box::new("told to")),
                End::Skip => Err(Stop::skip("told to")),
            }
        })
    }
}
