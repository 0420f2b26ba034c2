//! A cancel, a limit and the end of the work, all at the same moment on several threads: exactly one of them wins.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::{CancelReason, StageErrorKind};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::scenarios::t3_cancel::bench::{Bench, Built, Done, REASON};
use crate::scenarios::t3_cancel::case::{Care, Case, End, Part};
use crate::scenarios::t3_cancel::check::Check;
use crate::{Breach, Lab, LabError, Runtime, TimeMode};

/// How long work, limit and cancel take, where they take any time.
const MOMENT: u32 = 1;

pub(super) fn three_ways(lab: &mut Lab, bench: &Bench) -> Result<(), LabError> {
    if !lab.uses(TimeMode::Real) {
        return Ok(());
    }
    let mut wins = [0_u64; 3];
    let runtimes = lab.runtimes(&[Runtime::Mt2, Runtime::MtN]);
    lab.trials(lab.scaled(300), |lab, trial| {
        let runtime = runtimes[trial.index as usize % runtimes.len()];
        let mut rng = trial.seed.rng();
        let asleep = rng.random_bool(0.5);
        let built = draw(&mut rng, asleep).build(bench)?;
        let yields = rng.random_range(0..12);
        let done = lab.on(runtime, race(bench, &built, asleep, yields))?;
        let check = Check::new(lab, bench, &built, &done);
        let _length = check.loosely();
        if let Some(winner) = winner(&check) {
            wins[winner] += 1;
        }
        Ok(())
    })?;
    let names = ["races_completed", "races_cancelled", "races_timed_out"];
    for (name, won) in names.iter().zip(wins) {
        lab.metric(name, "count", won as f64);
    }
    Ok(())
}

/// A few stages, most of them in tasks; the last one ends when it is cancelled, and when its limit passes.
fn draw(rng: &mut ChaCha8Rng, asleep: bool) -> Case {
    let places = [Placement::Spawn, Placement::Spawn, Placement::Inline];
    let mut stages = vec![
        StageSpec::new(Behaviour::Ok),
        StageSpec::new(Behaviour::Ok),
        StageSpec::new(Behaviour::Ok).after([0, 1]),
    ];
    for stage in &mut stages {
        stage.placement = places[rng.random_range(0..places.len())];
    }
    let part = |awaits| Part {
        awaits,
        cares: vec![Care::Takes(0), Care::Fails],
        ..Part::default()
    };
    let mut parts = vec![part(1), part(2), part(rng.random_range(0..4))];
    if asleep {
        parts[2].awaits = 0;
        stages[2].delay = MOMENT;
    }
    let mut case = Case {
        exact: false,
        layered: rng.random_bool(0.3),
        ..Case::new(DagSpec::new(stages), parts, End::Itself)
    };
    if asleep {
        case.spec.stages[2].limit = Some(MOMENT);
    }
    case
}

async fn race(bench: &Bench, built: &Built, asleep: bool, yields: u32) -> Done {
    let started = Instant::now();
    let run = bench.start(built);
    let handle = run.handle();
    let mut rivals = JoinSet::new();
    rivals.spawn(async move {
        if asleep {
            tokio::time::sleep(Duration::from_millis(MOMENT.into())).await;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        handle.cancel(REASON);
    });
    let done = bench.seen(Some(run.await), built, started);
    // What it was told is in the report, or it came too late.
    rivals.join_all().await;
    done
}

/// Who won: the work, the cancel, the limit. The report must be all of a piece.
fn winner(check: &Check<'_>) -> Option<usize> {
    let report = check.done.report.as_ref()?;
    let requested = CancelReason::requested(REASON);
    let reason = report.cancel_reason();
    let errors = report.errors();
    let timed_out = |error: &StageError| matches!(error.kind(), StageErrorKind::TimedOut(_));
    let (winner, right) = match report.outcome() {
        Outcome::Succeeded => {
            let all = report
                .stages()
                .all(|stage| stage.outcome() == Outcome::Succeeded);
            (0, all && reason.is_none() && errors.is_empty())
        }
        Outcome::Cancelled => (1, reason == Some(&requested)),
        // Both at once: the limit decides, and the cancel was the first to be written down.
        Outcome::Failed => (2, report.error().is_some_and(timed_out) && reason.is_some()),
        _ => (0, false),
    };
    check.holds(
        right,
        "of a cancel, a limit and the end of the work one wins",
        Breach::WrongStatus,
        || {
            format!(
                "{} because of {reason:?}, with {errors:?}",
                report.outcome()
            )
        },
    );
    Some(winner)
}
