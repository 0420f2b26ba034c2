//! Retry among other layers.

use std::sync::Arc;

use stageflow::graph::Placement;
use stageflow::interceptors::On;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::plain;
use crate::support::{Lab, alone, outcomes};

#[test]
fn there_is_one_retry_around_a_stage() {
    let two = Engine::builder().intercept(plain(2)).intercept(plain(3));
    assert_eq!(two.try_build().unwrap_err().code(), "SF0412");
}

#[test]
fn one_for_a_stage_takes_the_place_of_the_one_for_all() {
    paused(async {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(plain(4));
            builder.intercept_on(On::stage("once"), plain(1))
        });
        let mut p = Pipeline::builder("two");
        let n = p.input::<u64>();
        let often = p
            .stage("often", script::flaky::<Arc<u64>, u64>(3, 1))
            .after(n);
        let once = p
            .stage("once", script::transient::<Arc<u64>, u64>("busy"))
            .after(often);
        let pipeline = p.output(once).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.stage("often").unwrap().attempts(), 4);
        assert_eq!(report.stage("once").unwrap().attempts(), 1);
    });
}

#[test]
fn a_fallback_stands_in_when_all_attempts_have_failed() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(3)));
        let mut p = Pipeline::builder("with fallback");
        let n = p.input::<u64>();
        let stage = script::transient::<Arc<u64>, u64>("busy");
        let a = p.stage("a", stage).or("b", script::flaky(1, 9)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &9);
        let attempts = |name| report.stage(name).unwrap().attempts();
        assert_eq!((attempts("a"), attempts("b")), (3, 2));
        assert_eq!(outcomes(&report), ["a failed", "b succeeded"]);
    });
}

#[test]
fn one_call_that_goes_well_is_one_attempt_and_no_word() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Retry::exponential(3)));
        let pipeline = alone(script::ok::<Arc<u64>, u64>(1), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(report.is_success());
        let told = [
            "run started",
            "a started 1",
            "a succeeded 1",
            "run succeeded",
        ];
        assert_eq!(lab.assert_nothing_left().await, told);
    });
}
