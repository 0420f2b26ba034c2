//! Runs that are stopped at the first moment, at the second, and so on to the last: at every poll of the run and of its
//! stages, at every door of a layer and in every cleanup.

mod pipelines;
mod waiting;
mod world;

use std::collections::HashMap;
use std::num::NonZeroUsize;

use futures_util::future::join;
use stageflow::context::CancelReason;
use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow_testkit::dag::{DagSpec, Dags, Tempo, Watch};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Flavour, Property, TestRuntime};

use self::pipelines::{ALL, Make};
use self::waiting::WAITING;
use self::world::World;

/// More moments than any of the runs here has.
const TOO_MANY: usize = 5_000;

#[test]
fn a_run_cancelled_at_any_moment_gives_everything_back_and_starts_nothing_more() {
    let runtime = TestRuntime::paused();
    for (name, make) in ALL.iter().chain(WAITING) {
        let moments = every_moment(|at| runtime.block_on(cancelled_at(*make, at)))
            .unwrap_or_else(|(at, wrong)| panic!("{name}, cancelled at moment {at}: {wrong}"));
        assert!(moments > 5, "{name} has only {moments} moments");
    }
}

#[test]
fn so_does_one_on_several_threads() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    for (name, make) in ALL.iter().chain(WAITING) {
        every_moment(|at| runtime.block_on(cancelled_at(*make, at)))
            .unwrap_or_else(|(at, wrong)| panic!("{name}, cancelled at moment {at}: {wrong}"));
    }
}

#[test]
fn so_does_one_whose_reader_leaves() {
    let runtime = TestRuntime::paused();
    for (name, make) in ALL.iter().chain(WAITING) {
        for reads in [1, 9] {
            every_moment(|at| runtime.block_on(read_and_cancelled_at(*make, reads, at)))
                .unwrap_or_else(|(at, wrong)| {
                    panic!("{name}, {reads} read, cancelled at moment {at}: {wrong}")
                });
        }
    }
}

#[test]
fn a_run_dropped_at_any_moment_gives_everything_back_before_its_engine_has_settled() {
    let runtime = TestRuntime::paused();
    for (name, make) in ALL.iter().chain(WAITING) {
        every_moment(|at| runtime.block_on(dropped_at(*make, at)))
            .unwrap_or_else(|(at, wrong)| panic!("{name}, dropped at moment {at}: {wrong}"));
    }
}

#[test]
fn so_does_any_pipeline() {
    let runtime = TestRuntime::paused();
    let dags = Dags::up_to(10).delays(5).ending_badly().limited().crowded();
    Property::new("a run cancelled at any moment leaves nothing")
        .cases(200)
        .holds_for(&dags, |spec| {
            let every = every_moment(|at| runtime.block_on(dag_cancelled_at(&spec, at)));
            match every {
                Ok(_) => Ok(()),
                Err((at, wrong)) => Err(TestCaseError::fail(format!("at moment {at}: {wrong}"))),
            }
        });
}

/// Tries moment after moment until one is not reached any more. Gives the number of those that were.
fn every_moment(
    mut at: impl FnMut(usize) -> Result<bool, String>,
) -> Result<usize, (usize, String)> {
    for moment in 1..TOO_MANY {
        match at(moment) {
            Ok(true) => {}
            Ok(false) => return Ok(moment - 1),
            Err(wrong) => return Err((moment, wrong)),
        }
    }
    Err((TOO_MANY, "it does not end".to_owned()))
}

async fn cancelled_at(make: Make, at: usize) -> Result<bool, String> {
    let world = World::stopped_at(at);
    let (engine, pipeline) = make(&world);
    let run = engine.run(&pipeline, 1, world.options());
    world.arm(run.handle());
    let report = world.counted(Box::pin(run)).await;
    ended(&engine, &world, &report)
}

/// The same with a reader for whom stages wait, and who goes away after so many items.
async fn read_and_cancelled_at(make: Make, reads: usize, at: usize) -> Result<bool, String> {
    let world = World::stopped_at(at);
    let (engine, pipeline) = make(&world);
    let run = engine.run(&pipeline, 1, world.options());
    world.arm(run.handle());
    let options = StreamOptions::new().capacity(NonZeroUsize::MIN);
    let (run, mut stream) = run.stream(options.wait_for_reader());
    let reading = async {
        for _ in 0..reads {
            world.pass();
            if stream.next().await.is_none() {
                break;
            }
        }
        drop(stream);
    };
    let (report, ()) = join(world.counted(Box::pin(run)), reading).await;
    ended(&engine, &world, &report)
}

fn ended(engine: &Engine, world: &World, report: &RunReport<u64>) -> Result<bool, String> {
    // Now, and not a moment later.
    if let Some(wrong) = world.wrong() {
        return Err(wrong);
    }
    nothing_left(engine, world)?;
    let reason = report.cancel_reason().cloned();
    let here = CancelReason::requested("here");
    let told = match report.outcome() {
        Outcome::Cancelled => reason.is_some(),
        _ => reason != Some(here),
    };
    if told {
        Ok(world.has_fired())
    } else {
        Err(format!("{} because of {reason:?}", report.outcome()))
    }
}

async fn dropped_at(make: Make, at: usize) -> Result<bool, String> {
    let world = World::stopped_at(at);
    let (engine, pipeline) = make(&world);
    let run = engine.run(&pipeline, 1, world.options());
    let report = world.until_fired(Box::pin(run)).await;
    drop(report);
    engine.settled().await;
    match world.wrong() {
        Some(wrong) => Err(wrong),
        None => nothing_left(&engine, &world).map(|()| world.has_fired()),
    }
}

async fn dag_cancelled_at(spec: &DagSpec, at: usize) -> Result<bool, String> {
    let world = World::stopped_at(at);
    let watch = Watch::new(spec, Tempo::Clock).with_cleanups();
    let (engine, pipeline) = (world.engine().build(), spec.typed(&watch).unwrap());
    let run = engine.run(&pipeline, spec.input, RunOptions::new());
    world.arm(run.handle());
    let report = world.counted(Box::pin(run)).await;
    drop(report);
    cleaned(&watch).map_err(|error| error.to_string())?;
    world
        .sink()
        .check_against(pipeline.plan())
        .map_err(|error| error.to_string())?;
    nothing_left(&engine, &world).map(|()| world.has_fired())
}

/// No task, and of every run one end, which is the last that was heard of it.
fn nothing_left(engine: &Engine, world: &World) -> Result<(), String> {
    if engine.live_tasks() > 0 {
        return Err(format!("{} tasks are left", engine.live_tasks()));
    }
    if !engine.slots().is_idle() {
        return Err(format!("units are left in use: {:?}", engine.slots()));
    }
    world.sink().check().map_err(|error| error.to_string())?;
    let mut over = HashMap::new();
    for recorded in world.sink().all() {
        let ends = matches!(recorded.event.kind(), EventKind::RunEnded { .. });
        let over = over.entry(recorded.run_id()).or_insert(false);
        if *over {
            return Err(format!("{recorded} after the end"));
        }
        *over = ends;
    }
    match over.values().all(|over| *over) {
        true => Ok(()),
        false => Err("a run has not ended".to_owned()),
    }
}

fn cleaned(watch: &Watch) -> TestCaseResult {
    let mut registered = watch.registered();
    registered.reverse();
    let cleaned: Vec<_> = watch.cleaned().iter().map(|one| one.stage).collect();
    prop_assert_eq!(cleaned, registered, "cleanups, each once and in reverse");
    prop_assert_eq!(watch.probe().live(), 0, "a stage outlives its run");
    Ok(())
}
