//! Runs on several threads with a running clock: no exact times, but everything else.

use stageflow::prelude::*;
use stageflow_testkit::dag::{DagSpec, Dags, Tempo};
use stageflow_testkit::oracle::{Clock, Natural};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Flavour, Property, TestRuntime};

use super::support::{Around, Observed, run_by_name, run_typed};

#[test]
fn on_several_threads_every_run_gives_what_the_oracle_says() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let dags = Dags::up_to(40).skipping().crowded().placed_anywhere();
    Property::new("a run that completes gives what the oracle says")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Yields, Around::Nothing));
            run.check_soundness(Clock::Running)?;
            check_natural(&run, &spec)
        });
}

#[test]
fn on_several_threads_every_run_ends_in_a_way_it_may_end() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let dags = Dags::up_to(40).ending_badly().crowded().placed_anywhere();
    Property::new("a run that may be stopped ends in a way it may")
        .cases(500)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Yields, Around::Nothing));
            run.check_soundness(Clock::Running)?;
            check_natural(&run, &spec)
        });
}

#[test]
fn on_several_threads_inside_a_layer_every_run_ends_in_a_way_it_may_end() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let dags = Dags::up_to(40).ending_badly().crowded().placed_anywhere();
    Property::new("inside a layer a run ends in a way it may")
        .cases(300)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_typed(&spec, Tempo::Yields, Around::Layer));
            run.check_soundness(Clock::Running)?;
            check_natural(&run, &spec)
        });
}

#[test]
fn on_several_threads_pipelines_wired_by_name_give_what_the_oracle_says() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let dags = Dags::up_to(40).ending_badly().crowded().placed_anywhere();
    let dags = (dags, any::<u64>()).prop_map(|(spec, order)| spec.shuffled(order));
    Property::new("a pipeline wired by name ends in a way it may")
        .cases(250)
        .holds_for(&dags, |spec| {
            let run = runtime.block_on(run_by_name(&spec, Tempo::Yields, Around::Nothing));
            run.check_soundness(Clock::Running)?;
            check_natural(&run, &spec)
        });
}

/// Every stage ends as it would if it were alone, or the run was stopped before it could.
fn check_natural<O: Send + Sync + 'static>(run: &Observed<O>, spec: &DagSpec) -> TestCaseResult {
    let outcomes = spec.natural_outcomes();
    prop_assert!(
        outcomes.contains(&run.report.outcome()),
        "{} is none of {:?}",
        run.report.outcome(),
        outcomes
    );
    let natural = spec.natural();
    let is_stopped = natural
        .iter()
        .any(|natural| matches!(natural, Natural::Stops(_)));
    for (at, natural) in natural.iter().enumerate() {
        let (report, name) = (run.stage(at), spec.stages[at].name());
        let outcome = report.outcome();
        if outcome == natural.outcome() {
            let value = if let Natural::Value(value) = natural {
                Some(*value)
            } else {
                None
            };
            prop_assert_eq!(run.value(at), value, "{}", name);
        } else {
            prop_assert!(
                is_stopped && outcome == Outcome::Cancelled,
                "{name} was {outcome}, not {natural:?}"
            );
            prop_assert_eq!(run.value(at), None, "{}", name);
        }
        let failed = matches!(outcome, Outcome::Failed | Outcome::TimedOut);
        prop_assert_eq!(report.error().is_some(), failed, "{}", name);
    }
    Ok(())
}
