//! Limits of each attempt, and of all together.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::context::StageErrorKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{Times, plain, said};
use crate::support::{Lab, alone};

#[test]
fn each_attempt_has_a_limit_of_its_own() {
    paused(async {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(Timeout::attempt(2.secs()));
            builder.intercept(plain(3).first(1.secs()))
        });
        let stage = script::hang::<Arc<u64>, u64>().watched_by(&lab.probe);
        let report = lab
            .engine
            .run(&alone(stage, Placement::Inline), 1, RunOptions::new())
            .await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert_eq!(report.stage("a").unwrap().outcome(), Outcome::TimedOut);
        // Three attempts of two seconds, and waits of one and two.
        assert_eq!((lab.probe.calls(), report.duration()), (3, 9.secs()));
        assert_eq!(
            lab.assert_nothing_left().await,
            [
                "run started",
                "a started 1",
                "a timed_out 1",
                "layer.retry.scheduled",
                "a started 2",
                "a timed_out 2",
                "layer.retry.scheduled",
                "a started 3",
                "a timed_out 3",
                "layer.retry.exhausted",
                "run failed: stage `a` failed",
            ]
        );
    });
}

#[test]
fn all_attempts_together_have_a_limit_that_cuts_off_the_last() {
    paused(async {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(Timeout::attempt(2.secs()));
            builder.intercept(plain(9).first(1.secs()).within(4.secs()))
        });
        let stage = script::hang::<Arc<u64>, u64>().watched_by(&lab.probe);
        let report = lab
            .engine
            .run(&alone(stage, Placement::Inline), 1, RunOptions::new())
            .await;
        assert_eq!((lab.probe.calls(), report.duration()), (2, 4.secs()));
        let error = &report.errors()[0];
        assert_eq!(error.kind(), &StageErrorKind::TimedOut(4.secs()));
        assert_eq!(
            error.earlier()[0].kind(),
            &StageErrorKind::TimedOut(2.secs())
        );
        let exhausted = json!({ "attempts": 2, "why": "within" });
        assert_eq!(said(&lab.sink.all()).last().unwrap().1, exhausted);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_wait_that_would_last_until_the_common_limit_is_not_begun() {
    for (within, calls) in [(999, 1), (1000, 1), (1001, 2)] {
        paused(async {
            let retry = Retry::constant(2).first(1.secs()).jitter(Jitter::None);
            let retry = retry.within(Duration::from_millis(within));
            let lab = Lab::with(|builder| builder.intercept(retry));
            let times = Times::default();
            let pipeline = alone(times.failing(|| Stop::transient("busy")), Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(times.count(), calls);
            assert_eq!(report.duration(), Duration::from_secs(calls as u64 - 1));
            let why = if calls == 1 { "within" } else { "attempts" };
            let expected = json!({ "attempts": calls, "why": why });
            assert_eq!(said(&lab.sink.all()).last().unwrap().1, expected);
            // It is the stage's own error that is kept.
            assert!(report.errors()[0].to_string().contains("busy"));
        });
    }
}

#[test]
fn a_stage_in_a_task_of_its_own_is_gone_when_the_common_limit_is_over() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(9).within(4.secs())));
        let stage = script::hang::<Arc<u64>, u64>().watched_by(&lab.probe);
        let pipeline = alone(stage, Placement::Spawn);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.duration(), 4.secs());
        assert_eq!(report.stage("a").unwrap().outcome(), Outcome::TimedOut);
        lab.assert_nothing_left().await;
    });
}
