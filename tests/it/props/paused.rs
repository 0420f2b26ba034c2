//! Runs under a paused clock, held against the oracle to the millisecond.

use std::time::Duration;

use stageflow::context::StageErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::dag::{Behaviour, DagSpec, Dags, Tempo};
use stageflow_testkit::oracle::{Clock, Prediction, StagePrediction};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Property, TestRuntime};

use super::support::{Around, Observed, run_by_name, run_typed};

/// Long delays, so that few of them have to be changed to keep stages from ending together.
const LONG: u32 = 5_000;

#[test]
fn every_stage_runs_once_and_starts_at_the_very_moment_it_can() {
    let runtime = TestRuntime::paused();
    let dags = Dags::up_to(40)
        .delays(LONG)
        .crowded()
        .prop_map(DagSpec::untied);
    Property::new("every stage starts when it can")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Clock, Around::Nothing));
            run.check_soundness(Clock::Exact)?;
            check_prediction(&run, &spec.predict())
        });
}

#[test]
fn a_run_is_what_the_oracle_says_however_its_stages_end_and_wherever_they_run() {
    let runtime = TestRuntime::paused();
    let dags = everything(40).delays(LONG).prop_map(DagSpec::untied);
    Property::new("a run is what the oracle says")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Clock, Around::Nothing));
            run.check_soundness(Clock::Exact)?;
            check_prediction(&run, &spec.predict())
        });
}

#[test]
fn inside_a_layer_that_waits_a_run_is_what_the_oracle_says_too() {
    let runtime = TestRuntime::paused();
    let dags = everything(40).delays(LONG).prop_map(DagSpec::untied);
    Property::new("inside a layer a run is what the oracle says")
        .cases(300)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Clock, Around::Layer));
            run.check_soundness(Clock::Exact)?;
            check_prediction(&run, &spec.predict())
        });
}

#[test]
fn a_pipeline_wired_by_name_in_any_order_is_what_the_oracle_says() {
    let runtime = TestRuntime::paused();
    let dags = (everything(40).delays(LONG), any::<u64>())
        .prop_map(|(spec, order)| spec.shuffled(order).untied());
    Property::new("a pipeline wired by name is what the oracle says")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_by_name(&spec, Tempo::Clock, Around::Nothing));
            run.check_soundness(Clock::Exact)?;
            check_prediction(&run, &spec.predict())
        });
}

#[test]
fn at_a_tie_the_stage_declared_first_ends_first() {
    let runtime = TestRuntime::paused();
    let dags = Dags::up_to(40).delays(3).ending_badly().crowded();
    Property::new("ties go by declaration")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Clock, Around::Nothing));
            run.check_soundness(Clock::Exact)?;
            check_prediction(&run, &spec.predict())
        });
}

#[test]
fn runs_keep_to_the_rules_when_everything_happens_at_the_same_moment() {
    let runtime = TestRuntime::paused();
    let dags = everything(40).delays(3);
    Property::new("runs keep to the rules at a tie")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Clock, Around::Nothing));
            run.check_soundness(Clock::Exact)
        });
}

fn everything(stages: usize) -> Dags {
    Dags::up_to(stages)
        .ending_badly()
        .limited()
        .crowded()
        .placed_anywhere()
        .interrupted()
}

fn check_prediction<O: Send + Sync + 'static>(
    run: &Observed<O>,
    expected: &Prediction,
) -> TestCaseResult {
    let story = || format!("{}\n{expected:?}", run.story());
    prop_assert_eq!(run.report.outcome(), expected.outcome, "{}", story());
    prop_assert_eq!(
        run.report.duration(),
        Duration::from_millis(expected.ended),
        "{}",
        story()
    );
    for stage in 0..run.spec.len() {
        let checked = check_stage(run, stage, &expected.stages[stage]);
        checked.map_err(|error| TestCaseError::fail(format!("{error}: {}", story())))?;
    }
    check_errors(run, expected)?;
    if run.around == Around::Nothing {
        check_order(run, expected)
    } else {
        Ok(())
    }
}

fn check_stage<O: Send + Sync + 'static>(
    run: &Observed<O>,
    at: usize,
    expected: &StagePrediction,
) -> TestCaseResult {
    let (report, name) = (run.stage(at), run.spec.stages[at].name());
    let millis = |at: Option<u64>| at.map(Duration::from_millis);
    prop_assert_eq!(report.outcome(), expected.outcome, "{}", name);
    prop_assert_eq!(
        report.started(),
        millis(expected.started),
        "{} started",
        name
    );
    prop_assert_eq!(report.ended(), millis(expected.ended), "{} ended", name);
    // Inside layers an attempt starts when its task is first polled, which may be never.
    if run.around == Around::Nothing || expected.outcome != Outcome::Cancelled {
        prop_assert_eq!(
            report.attempts() > 0,
            expected.started.is_some(),
            "{}",
            name
        );
    }
    prop_assert_eq!(run.value(at), expected.value, "{}", name);
    let because = expected.because.map(|_| "it was to skip");
    prop_assert_eq!(report.skip_reason(), because, "{}", name);
    Ok(())
}

fn check_errors<O: Send + Sync + 'static>(
    run: &Observed<O>,
    expected: &Prediction,
) -> TestCaseResult {
    let names: Vec<String> = run
        .report
        .errors()
        .iter()
        .map(|error| error.stage().to_string())
        .collect();
    let wanted: Vec<String> = expected
        .errors
        .iter()
        .map(|stage| run.spec.stages[*stage].name())
        .collect();
    prop_assert_eq!(names, wanted);
    prop_assert_eq!(
        run.report.error().is_some(),
        expected.outcome == Outcome::Failed
    );
    for (error, stage) in run.report.errors().iter().zip(&expected.errors) {
        let spec = &run.spec.stages[*stage];
        let as_scripted = match error.kind() {
            StageErrorKind::TimedOut(limit) => {
                spec.is_too_slow() && spec.limit == Some(limit.as_millis() as u32)
            }
            StageErrorKind::Panicked(_) => spec.behaviour == Behaviour::Panic,
            StageErrorKind::Failed(_) => spec.behaviour == Behaviour::Fail,
            _ => false,
        };
        prop_assert!(as_scripted, "{:?} is the error of {:?}", error, spec);
    }
    Ok(())
}

/// Stages start in the order in which they become ready, then in that of declaration.
fn check_order<O: Send + Sync + 'static>(
    run: &Observed<O>,
    expected: &Prediction,
) -> TestCaseResult {
    let started: Vec<&str> = run
        .events
        .iter()
        .filter(|event| event.name() == "stage.started")
        .filter_map(|event| event.stage())
        .collect();
    let wanted: Vec<String> = expected
        .starts
        .iter()
        .map(|stage| run.spec.stages[*stage].name())
        .collect();
    prop_assert_eq!(started, wanted);
    Ok(())
}
