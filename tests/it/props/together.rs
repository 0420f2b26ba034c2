//! Many runs of one pipeline at the same time: each as if it were alone.

use std::num::NonZeroUsize;

use stageflow::prelude::*;
use stageflow_testkit::dag::{DagSpec, Dags, Tempo, Watch};
use stageflow_testkit::oracle::Natural;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Flavour, Property, RecordingSink, TestRuntime};
use tokio::task::JoinSet;

const RUNS: u64 = 8;

#[test]
fn runs_of_one_pipeline_at_the_same_time_are_each_as_if_alone() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let dags = Dags::up_to(20).skipping().placed_anywhere();
    Property::new("runs do not meet")
        .cases(50)
        .each_counts_as(RUNS as u32)
        .holds_for(&dags, |spec| {
            let watch = Watch::new(&spec, Tempo::Yields);
            let pipeline = spec.typed(&watch).unwrap();
            let sink = RecordingSink::new();
            let engine = Engine::builder()
                .events(sink.clone())
                .concurrency(NonZeroUsize::MAX)
                .build();
            let reports = runtime.block_on(async {
                let mut runs = JoinSet::new();
                for input in 0..RUNS {
                    let (engine, pipeline) = (engine.clone(), pipeline.clone());
                    runs.spawn(async move {
                        (input, engine.run(&pipeline, input, RunOptions::new()).await)
                    });
                }
                runs.join_all().await
            });
            for (input, report) in reports {
                let alone = spec.clone().input(input);
                for (stage, natural) in alone.natural().into_iter().enumerate() {
                    prop_assert_eq!(
                        report.stages().nth(stage).unwrap().outcome(),
                        natural.outcome()
                    );
                    if stage == spec.output {
                        let value = if let Natural::Value(value) = natural {
                            Some(value)
                        } else {
                            None
                        };
                        prop_assert_eq!(report.output().ok().copied(), value, "input {}", input);
                    }
                }
            }
            prop_assert_eq!(sink.runs().len(), RUNS as usize);
            sink.check_against(pipeline.plan())
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            check_counts(&spec, &watch)?;
            prop_assert_eq!((watch.probe().live(), engine.live_tasks()), (0, 0));
            Ok(())
        });
}

/// Each stage was called once a run, or never.
fn check_counts(spec: &DagSpec, watch: &Watch) -> Result<(), TestCaseError> {
    for stage in 0..spec.len() {
        let calls = watch.calls(stage);
        prop_assert!(
            calls == RUNS as usize || calls == 0,
            "stage {stage} was called {calls} times"
        );
    }
    Ok(())
}
