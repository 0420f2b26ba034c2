//! What was finished is kept, however a run ends.

use std::num::NonZeroUsize;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec};

use super::t3_cancel::bench::{Bench, Built, Done};
use super::t3_cancel::case::{Care, Case, End, Mode, Part, State};
use super::t3_cancel::once;
use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// The stage that ends the run, and those whose values are there by then.
const CULPRIT: usize = 3;
const FINISHED: [usize; 3] = [0, 1, 2];

/// Later than any stage of these graphs that is to have ended, in milliseconds.
const LATER: u32 = 5000;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new(
        "A21-PARTIAL",
        "what was finished is kept, however a run ends",
    )
    .proves(
        "a run that fails, is cancelled or runs out of time reports exactly the finished outputs, and \
         names what failed, what was stopped and what never started, in one shape for all endings",
    )
    .theme(Theme::Wed)
    .tier(Tier::Smoke)
    .targets(["CONTRACT-003", "WORK-006"])
    .modes(["R8", "D7", "E4"])
    .expected(Duration::from_secs(3))
    .control(engine(
        "lose-outputs",
        "loses the outputs of one run in twenty that did not complete",
        "LoseOutputs",
        20,
    ))
    .control(engine(
        "retry-is-skip",
        "says of one stage in five that asks for another attempt that it skipped",
        "RetryIsSkip",
        5,
    ))
    .control(engine(
        "swallow-panic",
        "says of one panic in five that it was a skip",
        "SwallowPanic",
        5,
    ))
    .control(engine(
        "blame-another",
        "blames one failure in twenty on the stage declared before",
        "BlameAnother",
        20,
    ))
    .control(engine(
        "ignore-limit",
        "does not keep one limit in ten",
        "IgnoreLimit",
        10,
    ))
    .control(engine(
        "skip-stage",
        "leaves out one stage in two hundred and passes its first value on",
        "SkipStage",
        200,
    ))
    .control(Control::own(
        "mixed-up",
        "reads the values of two finished stages the wrong way round",
    ))
    .run(run)
}

/// Every way in which the run is ended: the mode of the stage that ends it, or who does from outside.
fn endings(when: u32) -> Vec<(Mode, End)> {
    let by_stage = Mode::FAILURES
        .into_iter()
        .chain([Mode::CancelRun])
        .map(|mode| (mode, End::Itself));
    let outside = [End::Cancel(when), End::Deadline(when), End::Drop(when)];
    by_stage.chain(outside.map(|end| (Mode::Ok, end))).collect()
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let bench = Bench::new(lab);
    let (mut runs, mut retries) = (0_u64, 0_u64);
    lab.trials(lab.scaled(600), |lab, trial| {
        // Even; what ends the run comes right after it, between two moments at which stages end by themselves.
        let when = 2 * trial.seed.rng().random_range(20..60_u32);
        for (mode, end) in endings(when + 1) {
            for limited in [false, true] {
                let case = draw(&mut trial.seed.rng(), when, (mode, end), limited);
                let (built, done) = once(lab, &bench, case)?;
                keeps(lab, &built, &done);
                runs += 1;
                retries += u64::from(mode == Mode::Retry);
                if lab.is_over() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })?;
    bench.tell(lab);
    lab.metric("runs", "count", runs as f64);
    lab.metric("retry_requests", "count", retries as f64);
    Ok(())
}

/// `A → [B, C, D, E]`, more stages at random, and an end that comes when A, B and C have ended.
fn draw(rng: &mut ChaCha8Rng, when: u32, (mode, end): (Mode, End), limited: bool) -> Case {
    let even = |rng: &mut ChaCha8Rng, below: u32| 2 * rng.random_range(0..below / 2);
    let ok = || StageSpec::new(Behaviour::Ok);
    let first = even(rng, 8);
    let mut stages = vec![
        ok().taking(first),
        ok().taking(even(rng, when - first)).after([0]),
        ok().taking(even(rng, when - first)).after([0]),
        culprit(mode, when - first).after([0]),
        ok().taking(LATER).after([0]),
    ];
    for _ in 0..rng.random_range(0..8) {
        let mut upstream: Vec<usize> = (0..stages.len()).filter(|_| rng.random_bool(0.3)).collect();
        if upstream.is_empty() {
            // After A, so that B, C, D and E have the first slots.
            upstream.push(0);
        }
        let delay = even(rng, 2 * when);
        stages.push(ok().taking(delay).after(upstream));
    }
    let mut parts: Vec<Part> = stages.iter().map(|_| part(rng)).collect();
    parts[CULPRIT].mode = mode;
    // A failure the run can do without changes nothing about the rest.
    if rng.random_bool(0.5) {
        let failure = Mode::FAILURES[rng.random_range(0..Mode::FAILURES.len())];
        stages.push(ok().taking(even(rng, when)).after([0]));
        parts.push(Part {
            mode: failure,
            ..part(rng)
        });
        if let Some(last) = stages.last_mut() {
            last.optional = true;
        }
    }
    stages.push(ok().after([1, CULPRIT]));
    parts.push(part(rng));
    for stage in &mut stages {
        if rng.random_bool(0.2) {
            stage.placement = Placement::Spawn;
        }
    }
    let mut spec = DagSpec::new(stages).input(rng.random_range(0..1_000_000));
    // Four slots: those declared first run when the run ends, the others may wait for ever.
    spec.slots = limited.then_some(NonZeroUsize::MIN.saturating_add(3));
    Case {
        layered: rng.random_bool(0.3),
        ..Case::new(spec, parts, end)
    }
}

/// Ends the run so many milliseconds after its start, and an odd one: by itself, or by its limit.
fn culprit(mode: Mode, after: u32) -> StageSpec {
    let stage = StageSpec::new(Behaviour::Ok);
    match mode {
        Mode::Timeout | Mode::Idle | Mode::Hang => stage.taking(LATER).limited(after + 1),
        Mode::Ok => stage.taking(LATER),
        _ => stage.taking(after + 1),
    }
}

fn part(rng: &mut ChaCha8Rng) -> Part {
    let state = [State::Asleep, State::Channel, State::Listens][rng.random_range(0..3)];
    let cares = [Care::Takes(0), Care::Takes(1), Care::Fails];
    Part {
        state,
        cares: (0..rng.random_range(0..3))
            .map(|_| cares[rng.random_range(0..cares.len())])
            .collect(),
        ..Part::default()
    }
}

/// The report as a user reads it: A, B and C are there with their values, whoever ended the run.
fn keeps(lab: &Lab, built: &Built, done: &Done) {
    let (Some(report), case) = (&done.report, &built.case) else {
        return;
    };
    if case.parts[CULPRIT].mode == Mode::Malformed {
        // It is answered at once, so nothing has ended by then but A.
        return;
    }
    let value = |stage: usize| {
        let found = report.value_of(&case.spec.stages[stage].name());
        found.and_then(|value| value.downcast_ref::<u64>().copied())
    };
    let mut found = FINISHED.map(value);
    if lab.is_broken("mixed-up") {
        found.swap(1, 2);
    }
    let first = case.spec.value(0, &[]);
    let wanted = [0, 1, 2].map(|stage| match stage {
        0 => Some(first),
        _ => Some(case.spec.value(stage, &[Some(first)])),
    });
    lab.check(
        found == wanted,
        "what was finished is in the report of a run that did not succeed",
        Breach::Lost,
        || {
            format!(
                "{found:?}, not {wanted:?}, after {:?}",
                case.parts[CULPRIT].mode
            )
        },
    );
    lab.check(
        !report.is_success() && report.output().is_err(),
        "a run that was ended is no success",
        Breach::WrongStatus,
        || format!("{}", report.outcome()),
    );
    let places: Vec<Outcome> = report.stages().map(|stage| stage.outcome()).collect();
    let drawn = report.mermaid();
    let all = report
        .stages()
        .all(|stage| drawn.contains(stage.name().as_str()));
    lab.check(
        all && places.len() == case.spec.len(),
        "the report has one shape, however the run ended",
        Breach::Lost,
        || format!("{places:?}"),
    );
}
