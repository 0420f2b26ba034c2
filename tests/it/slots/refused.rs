//! What an engine cannot give is said before anything starts; what makes no sense, before there is a pipeline.

use std::error::Error as _;

use stageflow::executor::{PoolError, PoolErrorKind, RunErrorKind};
use stageflow::graph::ProblemKind;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::units;
use crate::support::{Lab, texts};

#[test]
fn a_pool_that_is_not_there_ends_the_run_before_anything_starts() {
    paused(async {
        let lab = Lab::with(|engine| engine.pool("gpu", units(2)).pool("cpu", units(8)));
        let mut p = Pipeline::builder("answer");
        let n = p.input::<u64>();
        let a = p.stage("first", script::ok(1_u64)).after(n);
        let b = p
            .stage("embed", script::ok(2_u64))
            .pool("gpus", units(1))
            .pool("cpu", units(9));
        let b = b.after(a);
        let c = p
            .stage("last", script::ok(3_u64))
            .pool("licence", units(1))
            .after(b);
        let pipeline = p.output(c).build().unwrap();

        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        let error = report.output().unwrap_err();
        assert_eq!(error.code(), "SF0409");
        assert_eq!(
            error.to_string(),
            "SF0409: pipeline `answer` was not started: stage `embed` takes units of pool `gpus`, which the engine does not have; did you mean `gpu`? (pools: cpu, gpu)"
        );
        let RunErrorKind::Refused(first) = error.kind() else {
            panic!("{error:?}");
        };
        assert_eq!((first.stage().as_str(), first.pool()), ("embed", "gpus"));
        assert!(error.source().unwrap().is::<PoolError>());

        let causes = report.errors().iter().map(|error| {
            let cause: &PoolError = error.source().unwrap().downcast_ref().unwrap();
            cause.to_string()
        });
        assert_eq!(
            texts(causes),
            [
                "SF0409: stage `embed` takes units of pool `gpus`, which the engine does not have; did you mean `gpu`? (pools: cpu, gpu)",
                "SF0409: stage `embed` takes 9 units of pool `cpu`, which has 8; give the engine more with `.pool(..)`, or let the stage take fewer",
                "SF0409: stage `last` takes units of pool `licence`, which the engine does not have; give it one with `.pool(name, units)` (pools: cpu, gpu)",
            ]
        );
        assert!(report.stages().all(|stage| stage.attempts() == 0));
        let told = lab.assert_nothing_left().await;
        assert_eq!(
            told.len(),
            2,
            "a start and an end, and nothing between: {told:?}"
        );
        assert!(lab.engine.slots().is_idle());
    });
}

#[test]
fn an_engine_without_pools_says_so() {
    paused(async {
        let mut p = Pipeline::builder("answer");
        let n = p.input::<u64>();
        let a = p
            .stage("embed", script::ok(1_u64))
            .pool("gpu", units(1))
            .after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = Engine::new().run(&pipeline, 1, RunOptions::new()).await;
        let error = report.output().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("give it one with `.pool(name, units)` (it has none)"),
            "{error}"
        );
        let RunErrorKind::Refused(error) = error.kind() else {
            panic!("{error:?}");
        };
        assert!(matches!(
            error.kind(),
            PoolErrorKind::Unknown {
                pools: 0,
                nearest: None,
                ..
            }
        ));
    });
}

#[test]
fn names_of_pools_are_checked_when_the_pipeline_is_built() {
    let mut p = Pipeline::builder("answer");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::ok(1_u64))
        .pool("my gpu", units(1))
        .after(n);
    let b = p
        .stage("b", script::ok(1_u64))
        .pool("gpu", units(1))
        .pool("gpu", units(2))
        .after(a);
    let error = p.output(b).build().unwrap_err();
    assert_eq!(
        texts(error.problems()),
        [
            "SF0124: stage `a` takes units of a pool called \"my gpu\", which is not a name; use 1 to 64 letters, digits, `_`, `-` and `.`",
            "SF0125: stage `b` names the pool `gpu` twice; name it once, with all the units it needs",
        ]
    );
    assert!(
        matches!(error.problems()[0].kind(), ProblemKind::BadPool { pool, .. } if pool == "my gpu")
    );

    let mut p = Pipeline::by_name("answer");
    p.stage("a", script::ok(serde_json::json!(1)))
        .pool("", units(1))
        .root();
    assert_eq!(p.build().unwrap_err().code(), "SF0124");
}
