//! What a report says of single stages.

#![cfg(test)]

use std::pin::pin;
use std::time::Duration;

use stageflow_context::{Outcome, Stop};
use stageflow_executor::{Engine, RunOptions, RunReport};
use stageflow_graph::{Pipeline, stage_fn};
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec, Tempo, Watch};
use stageflow_testkit::{RecordingSink, paused};

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
fn stages_that_end_at_the_same_moment_end_in_the_order_of_declaration() {
    let together = || StageSpec::ok().taking(5);
    let mut stages = vec![
        StageSpec::ok().taking(2),
        together(),
        together(),
        StageSpec::ok().taking(3).after([0]),
        together(),
    ];
    stages.push(StageSpec::ok().after(0..5));
    let spec = DagSpec::new(stages);
    let sink = RecordingSink::new();
    let pipeline = spec.typed(&Watch::new(&spec, Tempo::Clock)).unwrap();
    let engine = Engine::builder().events(sink.clone()).build();
    paused(async { engine.run(&pipeline, 1, RunOptions::new()).await });
    let ended = sink
        .all()
        .into_iter()
        .filter(|event| event.name() == "stage.ended");
    let ended: Vec<String> = ended
        .filter_map(|event| event.stage().map(str::to_owned))
        .collect();
    assert_eq!(ended, ["s0", "s1", "s2", "s3", "s4", "s5"]);
}

/// Lets time pass without suspending, as a stage that holds its thread does.
fn held_up(end: fn() -> Result<u32, Stop>) -> RunReport<u32> {
    let mut p = Pipeline::builder::<()>("late");
    let late = stage_fn(move |_cx, ()| async move {
        let _ = futures_util::poll!(pin!(tokio::time::advance(Duration::from_secs(5))));
        end()
    });
    let late = p.stage("late", late).root();
    let pipeline = p.output(late).build().unwrap();
    let options = RunOptions::new().deadline(Duration::from_secs(3));
    paused(async { Engine::new().run(&pipeline, (), options).await })
}

#[test]
fn a_run_that_ends_after_its_deadline_ran_out_of_time_whatever_its_last_stage_gave() {
    for end in [|| Ok(1), || Err(Stop::skip("nothing to do"))] {
        let report = held_up(end);
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(report.duration(), Duration::from_secs(5));
    }
    let failed = held_up(|| Err(Stop::fail("late, and wrong")));
    assert_eq!(failed.outcome(), Outcome::Failed, "the first cause decides");
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
