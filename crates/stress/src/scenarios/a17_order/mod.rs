//! Every order of registering six layers, every layer that could misbehave, and every ending inside.

mod layers;
mod oracle;

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use stageflow::prelude::*;
use stageflow_testkit::script;
use tokio::time::timeout;

use crate::{Breach, Control, Lab, LabError, Scenario, Seed, Theme, Tier};
use layers::{Deed, Log, Said, Told, Wrong};
use oracle::{Inside, expected};

/// A phase for each layer, and whether it may wait: different ones, with a tie, and all the same.
const SETS: [[(Phase, bool); LAYERS]; 2] = [
    [
        (Phase::Security, false),
        (Phase::Admission, true),
        (Phase::Retry, true),
        (Phase::Timeout, false),
        (Phase::Inner, false),
        (Phase::Inner, false),
    ],
    [
        (Phase::Security, false),
        (Phase::Security, true),
        (Phase::Timeout, false),
        (Phase::Timeout, true),
        (Phase::Timeout, false),
        (Phase::Timeout, false),
    ],
];
const LAYERS: usize = 6;
/// How many endings inside each misdeed meets, in each order.
const ENDINGS: usize = 3;

const CONTROLS: [(&str, &str, Wrong); 5] = [
    (
        "left-out",
        "one set of layers in 97 lacks its security",
        Wrong::LeftOut,
    ),
    (
        "inside-out",
        "one security layer in 97 is put inside",
        Wrong::InsideOut,
    ),
    (
        "fail-open",
        "a check that panics counts as passed, in one set in 97",
        Wrong::FailOpen,
    ),
    (
        "denial-is-success",
        "a refusal becomes a value, in one set in 97",
        Wrong::DenialIsSuccess,
    ),
    (
        "left-twice",
        "one hook in 97 is left twice",
        Wrong::LeftTwice,
    ),
];

pub(super) fn scenario() -> Scenario {
    let scenario = Scenario::new("A17-ORDER", "every order of registering layers")
        .proves(
            "layers nest in one way whatever the order of registering them, equals by registration, security outermost; \
             each is left once, in reverse order, whatever happens inside; a refusal is never a success",
        )
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["GUARD-004"])
        .modes(["I1", "I2", "I3", "I4", "I5", "I6", "I11"])
        .expected(Duration::from_secs(5))
        .control(Control::engine("swallows-panics", "a panic is said to be a skip", "SwallowPanic", 1))
        .control(Control::engine("cancel-is-success", "a cancelled run is said to have completed", "CancelIsSuccess", 1));
    CONTROLS
        .iter()
        .fold(scenario, |scenario, (name, breaks, _)| {
            scenario.control(Control::own(name, breaks))
        })
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut orders = orders();
    let (mut runs, mut said) = (0, 0);
    let wrong = CONTROLS
        .iter()
        .find(|(name, _, _)| lab.is_broken(name))
        .map(|(_, _, wrong)| *wrong);
    let rounds = lab.scaled(1);
    let per_round = orders.len() as u64;
    // A control must not depend on which orders come first.
    orders.shuffle(&mut lab.seed().rng());
    lab.trials(rounds * per_round, |lab, trial| {
        let order = &orders[(trial.index % per_round) as usize];
        for (set, kinds) in SETS.iter().enumerate() {
            let told = all(lab, order, kinds, trial.seed.child(set as u64), wrong)?;
            runs += told.0;
            said += told.1;
        }
        Ok(())
    })?;
    lab.metric("orders", "count", per_round as f64);
    lab.metric("runs", "count", runs as f64);
    lab.metric("layers_passed", "count", said as f64);
    Ok(())
}

/// All permutations of the layers' numbers.
fn orders() -> Vec<Vec<usize>> {
    let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
    for layer in 0..LAYERS {
        orders = orders
            .iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, layer);
                    longer
                })
            })
            .collect();
    }
    orders
}

/// One set of layers, registered in one order: with nobody misbehaving, and with each that could, each in its ways. How
/// the stage inside ends is chosen at random; over all orders each meets each misdeed some hundred times.
fn all(
    lab: &mut Lab,
    order: &[usize],
    kinds: &[(Phase, bool); LAYERS],
    seed: Seed,
    wrong: Option<Wrong>,
) -> Result<(u64, u64), LabError> {
    let mut rng = seed.rng();
    let misdeeds = kinds.iter().enumerate().flat_map(|(layer, (_, waits))| {
        let fitting = Deed::ALL.into_iter().filter(|deed| deed.fits(*waits));
        fitting.map(move |deed| Some((layer, deed)))
    });
    let mut cases = Vec::new();
    for misdeed in std::iter::once(None).chain(misdeeds) {
        for _ in 0..ENDINGS {
            cases.push((misdeed, Inside::ALL[rng.random_range(0..Inside::ALL.len())]));
        }
    }
    let (mut runs, mut said) = (0, 0);
    for (misdeed, inside) in cases {
        let log = Log::default();
        let wrong = wrong
            .filter(|_| rng.random_ratio(1, 97))
            .unwrap_or_default();
        let layers: Vec<Told> = order
            .iter()
            .map(|id| Told {
                id: *id,
                phase: kinds[*id].0,
                waits: kinds[*id].1,
                deed: misdeed
                    .filter(|(layer, _)| layer == id)
                    .map(|(_, deed)| deed),
                wrong,
                log: log.clone(),
            })
            .collect();
        said += one(lab, layers, inside, &log)?;
        runs += 1;
    }
    Ok((runs, said))
}

fn one(lab: &mut Lab, layers: Vec<Told>, inside: Inside, log: &Log) -> Result<u64, LabError> {
    // Security first and so on; equals stay in the order of registration.
    let mut onion = layers.clone();
    onion.sort_by_key(|layer| layer.phase);
    let (due, outcome) = expected(&onion, inside);
    let engine = layers
        .into_iter()
        .fold(lab.engine(), |engine, layer| layer.install(engine))
        .build();
    let pipeline = pipeline(inside, log)?;
    let report = lab.paused(report_of(&engine, &pipeline, inside));
    let mut got = log.take();
    if outcome.is_none() {
        // Of a run that ends from outside nobody looks at what a layer makes of it on the way out.
        got.iter_mut().for_each(forget_failure);
    }
    let what = || {
        let onion = onion.iter().map(|it| (it.id, it.phase, it.deed));
        format!("{inside:?} inside {:?}", onion.collect::<Vec<_>>())
    };
    lab.check(
        got == due,
        "layers are entered from the outside in and left from the inside out, once",
        Breach::BrokenOrder,
        || format!("{}: said {got:?}, due was {due:?}", what()),
    );
    if let (Some(report), Some(outcome)) = (&report, outcome) {
        check_outcomes(lab, report, outcome, &what);
    }
    lab.check(
        engine.live_tasks() == 0,
        "no task is left",
        Breach::ResourceLeak,
        what,
    );
    Ok(got.len() as u64)
}

/// The run's report, if its caller stays to see it.
async fn report_of(
    engine: &Engine,
    pipeline: &Pipeline<u64, u64>,
    inside: Inside,
) -> Option<RunReport<u64>> {
    let options = match inside {
        Inside::Endless => RunOptions::new().deadline(5.millis()),
        _ => RunOptions::new(),
    };
    let run = engine.run(pipeline, 1, options);
    let report = match inside {
        Inside::Abandoned => timeout(5.millis(), run).await.ok(),
        _ => Some(run.await),
    };
    engine.settled().await;
    report
}

fn check_outcomes(
    lab: &Lab,
    report: &RunReport<u64>,
    outcome: Outcome,
    what: &impl Fn() -> String,
) {
    let stage = report.stages().next().map(|stage| stage.outcome());
    lab.check(
        stage == Some(outcome),
        "what layers make of a call is what is reported",
        Breach::WrongStatus,
        || format!("{}: {stage:?} where {outcome} was due", what()),
    );
    let run = of_run(outcome);
    lab.check(
        report.outcome() == run,
        "a run ends as its stage does",
        Breach::WrongStatus,
        || format!("{}: the run is {}, {run} was due", what(), report.outcome()),
    );
}

/// What a hook that panics on the way out of an interrupted call tells those around it.
fn forget_failure(said: &mut Said) {
    if let Said::Out(_, outcome @ Outcome::Failed) = said {
        *outcome = Outcome::Cancelled;
    }
}

fn of_run(stage: Outcome) -> Outcome {
    match stage {
        Outcome::TimedOut => Outcome::Failed,
        other => other,
    }
}

/// A pipeline of one stage, which says that it was called and ends as it is told.
fn pipeline(inside: Inside, log: &Log) -> Result<Pipeline<u64, u64>, LabError> {
    let scripted = Arc::new(match inside {
        Inside::Value => script::ok(1),
        Inside::Failure => script::fail("it was told to"),
        Inside::Panic => script::panic("it was told to"),
        Inside::Skip => script::skip("it was told to"),
        Inside::Cancel => script::cancel("it was told to"),
        Inside::Slow | Inside::Endless | Inside::Abandoned => script::hang(),
    });
    let log = log.clone();
    let stage = stage_fn(move |cx: StageCx, _n: Arc<u64>| {
        let (scripted, log) = (Arc::clone(&scripted), log.clone());
        async move {
            log.say(Said::Stage);
            scripted.run(cx, ()).await
        }
    });
    let mut p = Pipeline::builder("onion");
    let input = p.input::<u64>();
    let stage = p.stage("stage", stage);
    let stage = match inside {
        Inside::Slow => stage.timeout(5.millis()),
        _ => stage,
    };
    let handle = stage.after(input);
    p.output(handle).build().map_err(LabError::new)
}
