//! Stages that are only for those who are permitted something.

use stageflow::graph::BuildError;
use stageflow::interceptors::{Claim, Pass, StackErrorKind};
use stageflow::prelude::*;
use stageflow_testkit::{RecordingSink, paused, script};
use std::sync::Arc;

use super::Porter;
use crate::support::undisturbed;

/// A layer that permits everything that is not called `no`.
struct Permits;

impl Hook for Permits {
    fn name(&self) -> &str {
        "permits"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn claim(&self) -> Claim {
        Claim::Decides
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        match call
            .options()
            .demands
            .permissions()
            .iter()
            .find(|what| &***what == "no")
        {
            None => Flow::Continue,
            Some(what) => {
                Flow::Deny(call.denied("permits", format!("`{what}` is permitted to nobody")))
            }
        }
    }
}

fn pipeline(permission: &str) -> Result<Pipeline<u64, u64>, BuildError> {
    let mut p = Pipeline::builder("guarded");
    let n = p.input::<u64>();
    let a = p.stage("open", script::ok::<Arc<u64>, u64>(1)).after(n);
    let b = p
        .stage("guarded", script::ok::<Arc<u64>, u64>(2))
        .require(permission)
        .after(a);
    p.output(b).build()
}

#[test]
fn a_pipeline_that_needs_somebody_who_decides_does_not_start_without() {
    paused(async {
        let sink = RecordingSink::new();
        let engine = undisturbed().events(sink.clone()).build();
        let report = engine
            .run(&pipeline("kb:read").unwrap(), 1, RunOptions::new())
            .await;
        assert_eq!(report.outcome(), Outcome::Failed);
        let error = report.output().unwrap_err();
        assert_eq!(
            error.to_string(),
            "SF0415: pipeline `guarded` was not started: stage `guarded` is only for those who are permitted `kb:read`, and the engine has no layer that decides who is; give it one with `.intercept(..)`"
        );
        assert!(report.stages().all(|stage| stage.attempts() == 0));
        assert_eq!(sink.names(), ["run.started", "run.ended"]);
    });
}

#[test]
fn a_layer_that_decides_sees_what_a_stage_requires() {
    paused(async {
        let engine = undisturbed()
            .admit(Porter::new("tokens", |_| Ok(Pass::free())).proving())
            .intercept(Permits)
            .build();
        let report = engine
            .run(&pipeline("kb:read").unwrap(), 1, RunOptions::new())
            .await;
        assert_eq!(report.output().unwrap(), &2);
        let report = engine
            .run(&pipeline("no").unwrap(), 1, RunOptions::new())
            .await;
        assert_eq!(report.outcome(), Outcome::Denied);
        assert!(report.value_of("open").is_some() && report.value_of("guarded").is_none());
    });
}

#[test]
fn nobody_decides_about_people_whom_nobody_knows() {
    let error = undisturbed()
        .admit(Porter::open("quota"))
        .intercept(Permits)
        .try_build()
        .unwrap_err();
    assert_eq!(error.kind(), StackErrorKind::NobodyAsks);
    assert_eq!(
        error.to_string(),
        "SF0416: layer `permits` decides what somebody may do without anybody who proves who it is; give the engine an admission of the phase `security` with `.admit(..)`"
    );
}

#[test]
fn a_permission_must_be_one_that_a_policy_can_name() {
    for good in ["kb:read", "a", "a.b-c_d:e:f"] {
        assert!(pipeline(good).is_ok(), "{good}");
    }
    for bad in ["", ":", "kb:", "kb read", "kb:*", &"x".repeat(65)] {
        let error = pipeline(bad).unwrap_err().to_string();
        assert!(error.contains("SF0128"), "{error}");
    }
    let error = pipeline("kb read").unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "SF0128: stage `guarded` requires \"kb read\", which no policy can name; use words of letters, digits, `_`, `-` and `.`, joined by colons, such as `kb:read`"
    );
}
