//! What a report says of single stages.

#![cfg(test)]

use std::time::Duration;

use stageflow_context::Outcome;
use stageflow_executor::{Engine, RunOptions, RunReport};
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec, Tempo, Watch};
use stageflow_testkit::paused;

fn run_by_name(spec: &DagSpec) -> RunReport<serde_json::Value> {
    let pipeline = spec.by_name(&Watch::new(spec, Tempo::Clock)).unwrap();
    paused(async {
        Engine::new()
            .run(&pipeline, spec.input.into(), RunOptions::new())
            .await
    })
}

#[test]
fn a_stage_that_was_skipped_because_of_another_never_started() {
    let spec = DagSpec::new(vec![
        StageSpec::new(Behaviour::Skip).taking(5),
        StageSpec::ok().after([0]),
    ]);
    let report = run_by_name(&spec);
    let (first, second) = (report.stage("s0").unwrap(), report.stage("s1").unwrap());
    assert_eq!(
        (first.outcome(), second.outcome()),
        (Outcome::Skipped, Outcome::Skipped)
    );
    assert_eq!(
        (first.started(), first.ended()),
        (Some(Duration::ZERO), Some(Duration::from_millis(5)))
    );
    assert_eq!(
        (second.started(), second.ended(), second.duration()),
        (None, None, Duration::ZERO)
    );
}

#[test]
fn the_critical_path_goes_from_a_root_to_the_last_stage_in_whatever_order_they_were_declared() {
    let spec = DagSpec::new(vec![
        StageSpec::ok().taking(1).after([2]),
        StageSpec::ok().taking(1),
        StageSpec::ok().taking(1).after([1]),
        StageSpec::ok().taking(1).after([0]),
    ]);
    let report = run_by_name(&spec);
    let path: Vec<&str> = report
        .critical_path()
        .into_iter()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(path, ["s1", "s2", "s0", "s3"]);
}
