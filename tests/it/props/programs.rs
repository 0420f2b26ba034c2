//! Random programs that use every way a run can branch, wait and end, held against the rules.

use std::time::Duration;

use stageflow::prelude::*;
use stageflow_testkit::program::{Layered, Program, Speed, Stopper};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Property, RecordingSink, paused};

use super::patience::Patience;

const INPUT: u64 = 7;

async fn run(program: &Program, speed: Speed) -> TestCaseResult {
    let sink = RecordingSink::new();
    let engine = Engine::builder().events(sink.clone());
    let engine = match program.layered {
        Layered::Retried => engine.intercept(Patience::AtOnce).build(),
        _ => engine.build(),
    };
    let built = program
        .build(speed)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let run = engine.run(&built.pipeline, INPUT, program.options());
    let report = match program.stopped {
        Some((after, Stopper::Handle)) => {
            let handle = run.handle();
            let stopper = async {
                match speed {
                    Speed::Clock => tokio::time::sleep(Duration::from_millis(after.into())).await,
                    _ => {
                        for _ in 0..after {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                handle.cancel("the test wants it");
            };
            futures_util::future::join(run, stopper).await.0
        }
        _ => run.await,
    };
    let story = || sink.lines().join("\n");
    program
        .check(&report, INPUT, speed)
        .map_err(|mismatch| TestCaseError::fail(format!("{mismatch}\n{}", story())))?;
    sink.check()
        .map_err(|error| TestCaseError::fail(format!("{error}\n{}", story())))?;
    prop_assert_eq!(built.probe.live(), 0, "something outlives its run");
    prop_assert_eq!(engine.live_tasks(), 0, "a task outlives its run");
    Ok(())
}

fn programs() -> impl Strategy<Value = Program> {
    (any::<u64>(), 1_usize..30).prop_map(|(seed, nodes)| Program::random(seed, nodes))
}

#[test]
fn on_a_paused_clock_programs_keep_to_the_rules() {
    Property::new("a program keeps to the rules, on time")
        .cases(500)
        .holds_for(&programs(), |program| paused(run(&program, Speed::Clock)));
}

fn on_workers(workers: usize) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(workers).enable_all();
    let runtime = runtime.build().unwrap();
    Property::new("a program keeps to the rules, on several threads")
        .cases(300)
        .holds_for(&programs(), |program| {
            runtime.block_on(run(&program, Speed::Yields))
        });
}

#[test]
fn on_two_threads_programs_keep_to_the_rules() {
    on_workers(2);
}

#[test]
fn on_eight_threads_programs_keep_to_the_rules() {
    on_workers(8);
}
