//! Random programs with routes, joins, fallbacks, default values and policies, held against a plain interpreter.

use std::sync::Arc;
use std::time::Duration;

use stageflow::executor::{RunReport, StageReport};
use stageflow::prelude::*;
use stageflow_testkit::branches::{Fate, Foretold, Program, Told};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{EventGrammar, Property, RecordingSink, TestRuntime};

use crate::support::{PassOn, undisturbed};

fn told(report: &RunReport<Vec<Arc<u64>>>, name: &str) -> Option<Told> {
    let value = report.value_of(name)?;
    let plain = value.downcast_ref().map(|value: &u64| Told::Plain(*value));
    plain
        .or_else(|| {
            value
                .downcast_ref()
                .map(|value: &Option<u64>| Told::Optional(*value))
        })
        .or_else(|| {
            let list = value.downcast_ref::<Vec<Arc<u64>>>()?;
            Some(Told::List(list.iter().map(|value| **value).collect()))
        })
}

fn fate(report: &RunReport<Vec<Arc<u64>>>, stage: StageReport<'_>, expected: &Fate) -> Fate {
    let was_run = stage.attempts() > 0;
    let millis = |at: Option<Duration>| at.filter(|_| was_run).map(|at| at.as_millis() as u64);
    let mut fate = expected.clone();
    fate.name = stage.name().to_string();
    fate.outcome = stage.outcome();
    fate.started = millis(stage.started());
    fate.ended = millis(stage.ended());
    fate.reason = stage.skip_reason().map(str::to_owned);
    fate.value = told(report, stage.name());
    fate
}

fn check(report: &RunReport<Vec<Arc<u64>>>, foretold: &Foretold) -> Result<(), TestCaseError> {
    let errors: Vec<String> = report
        .errors()
        .iter()
        .map(|error| error.stage().to_string())
        .collect();
    prop_assert_eq!(report.stages().len(), foretold.fates.len());
    for (stage, expected) in report.stages().zip(&foretold.fates) {
        prop_assert_eq!(&fate(report, stage, expected), expected);
    }
    prop_assert_eq!(report.outcome(), foretold.outcome);
    prop_assert_eq!(&errors, &foretold.errors);
    Ok(())
}

fn holds(name: &'static str, cases: u32, layered: bool) {
    let runtime = TestRuntime::paused();
    let sink = RecordingSink::new();
    let engine = undisturbed().events(sink.clone());
    let engine = if layered {
        engine.intercept(PassOn).build()
    } else {
        engine.build()
    };
    let programs = (any::<u64>(), 1..30_usize).prop_map(|(seed, size)| Program::random(seed, size));
    Property::new(name)
        .cases(cases)
        .holds_for(&programs, |program| {
            sink.clear();
            let pipeline = program.pipeline().unwrap();
            let options = RunOptions::new()
                .on_failure(program.policy)
                .concurrency(program.slots);
            let report = runtime.block_on(async { engine.run(&pipeline, 0, options).await });
            let foretold = program.foretell(&|name| told(&report, name));
            check(&report, &foretold)?;
            let mut grammar = EventGrammar::new().of_plan(pipeline.plan());
            sink.all().iter().for_each(|event| grammar.observe(event));
            let grammar = grammar.finish();
            prop_assert!(grammar.is_ok(), "{grammar:?}");
            Ok(())
        });
}

#[test]
fn a_program_that_branches_does_what_the_interpreter_says() {
    holds("a program that branches", 1000, false);
}

#[test]
fn inside_a_layer_that_waits_it_does_so_too() {
    holds("a program that branches, inside a layer", 300, true);
}
