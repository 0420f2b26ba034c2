//! Of twenty branches the chosen ones: routes, joins and fallbacks against a plain interpreter.

mod twenty;

use std::sync::Arc;
use std::time::Duration;

use stageflow::executor::{Engine, RunReport};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use stageflow_testkit::branches::{Foretold, Program, Told};

use self::twenty::Twenty;
use crate::{Breach, Control, Lab, LabError, Scenario, Seed, Theme, Tier};

/// How many random programs a trial has.
const PROGRAMS: u64 = 10;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("A08-ROUTES", "of twenty branches the chosen ones")
        .proves(
            "what runs is what the oracle says, joins fire once, and what was not chosen does no work",
        )
        .theme(Theme::Tue)
        .tier(Tier::Smoke)
        .targets(["DAG-008", "ROUTE-003", "ROUTE-004"])
        .modes(["D7", "D8"])
        .expected(Duration::from_secs(3))
        .control(engine(
            "take-every-arm",
            "a route takes an arm that it did not choose, once in a thousand",
            "TakeEveryArm",
            1000,
        ))
        .control(engine(
            "forget-fallback",
            "one failure in twenty does not reach the stage that stands in",
            "ForgetFallback",
            20,
        ))
        .control(engine(
            "keep-dependents",
            "one skip in a thousand is not carried on",
            "KeepDependents",
            1000,
        ))
        .control(engine(
            "lose-event",
            "one event in twenty vanishes",
            "LoseEvent",
            20,
        ))
        .control(Control::own(
            "another-choice",
            "the oracle is told of another arm than the route took",
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let (mut programs, mut nodes) = (0_u64, 0_u64);
    // One engine for all of it: a broken one counts its chances.
    let sink = RecordingSink::new();
    let engine = lab.engine().blocking_threshold(Duration::MAX);
    let engine = engine.events(sink.clone()).build();
    lab.trials(lab.scaled(300), |lab, trial| {
        let twenty = Twenty::draw(trial.seed, lab.is_broken("another-choice"));
        let complaints = lab.paused(twenty.run(&engine, &sink));
        for complaint in complaints {
            lab.check(false, complaint.0, Breach::WrongStatus, || complaint.1);
        }
        for program in 0..PROGRAMS {
            let seed = trial.seed.child(program);
            let (count, complaint) = lab.paused(one(&engine, seed));
            sink.clear();
            (programs, nodes) = (programs + 1, nodes + count);
            if let Some(complaint) = complaint {
                lab.check(
                    false,
                    "a program does what the interpreter says",
                    Breach::WrongStatus,
                    || format!("program {seed}: {complaint}"),
                );
            }
            if lab.is_over() {
                break;
            }
        }
        Ok(())
    })?;
    lab.metric("programs", "count", programs as f64);
    lab.metric("nodes_checked", "count", nodes as f64);
    Ok(())
}

/// One random program: how many nodes it has, and the first thing that is not as it should be.
async fn one(engine: &Engine, seed: Seed) -> (u64, Option<String>) {
    let program = Program::random(seed.get(), 1 + (seed.get() >> 32) as usize % 28);
    let pipeline = match program.pipeline() {
        Ok(pipeline) => pipeline,
        Err(error) => return (0, Some(error.to_string())),
    };
    let options = RunOptions::new()
        .on_failure(program.policy)
        .concurrency(program.slots);
    let run = engine.run(&pipeline, 0, options);
    // So much virtual time is more than any of these programs takes.
    let Ok(report) = tokio::time::timeout(Duration::from_secs(60), run).await else {
        return (0, Some("it did not end".to_owned()));
    };
    let foretold = program.foretell(&|name| told(&report, name));
    let nodes = foretold.fates.len() as u64;
    (nodes, complaint(&report, &foretold))
}

fn told(report: &RunReport<Vec<Arc<u64>>>, name: &str) -> Option<Told> {
    let value = report.value_of(name)?;
    let plain = value.downcast_ref::<u64>().copied().map(Told::Plain);
    let optional = || {
        value
            .downcast_ref::<Option<u64>>()
            .copied()
            .map(Told::Optional)
    };
    let list = || {
        let list = value.downcast_ref::<Vec<Arc<u64>>>()?;
        Some(Told::List(list.iter().map(|value| **value).collect()))
    };
    plain.or_else(optional).or_else(list)
}

fn complaint(report: &RunReport<Vec<Arc<u64>>>, foretold: &Foretold) -> Option<String> {
    let millis = |at: Option<Duration>| at.map(|at| at.as_millis() as u64);
    for (stage, fate) in report.stages().zip(&foretold.fates) {
        let was_run = stage.attempts() > 0;
        let seen = (
            stage.outcome(),
            millis(stage.started().filter(|_| was_run)),
            millis(stage.ended().filter(|_| was_run)),
            stage.skip_reason(),
            told(report, stage.name()),
        );
        let expected = (
            fate.outcome,
            fate.started,
            fate.ended,
            fate.reason.as_deref(),
            fate.value.clone(),
        );
        if seen != expected {
            return Some(format!("{}: {seen:?}, and not {expected:?}", stage.name()));
        }
    }
    let errors: Vec<&str> = report
        .errors()
        .iter()
        .map(|error| error.stage().as_str())
        .collect();
    if report.outcome() != foretold.outcome || errors != foretold.errors {
        return Some(format!(
            "it ended {:?} with errors of {errors:?}, and not {:?} with {:?}",
            report.outcome(),
            foretold.outcome,
            foretold.errors
        ));
    }
    None
}
