//! What is never tried again, and what is only if it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use stageflow::context::StageErrorKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use super::{Times, plain, said};
use crate::layers::Inside;
use crate::support::{Lab, alone};

type Script = Scripted<Arc<u64>, u64>;

#[test]
fn what_is_final_is_called_once_and_nothing_is_said_of_it() {
    let finals: [(fn() -> Script, Outcome); 4] = [
        (|| script::fail("wrong"), Outcome::Failed),
        (|| script::panic("odd"), Outcome::Failed),
        (|| script::skip("nothing to do"), Outcome::Skipped),
        (|| script::cancel("enough"), Outcome::Cancelled),
    ];
    for (stage, outcome) in finals {
        paused(async {
            let lab = Lab::with(|builder| builder.intercept(plain(5)));
            let pipeline = alone(stage().watched_by(&lab.probe), Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.stage("a").unwrap().outcome(), outcome);
            assert_eq!(lab.probe.calls(), 1, "{outcome}");
            assert_eq!(said(&lab.sink.all()), [], "{outcome}");
            assert!(
                report
                    .errors()
                    .iter()
                    .all(|error| error.earlier().is_empty())
            );
        });
    }
}

#[test]
fn layers_inside_may_reject_for_a_while_and_deny_for_good() {
    type Says = fn(&Call<'_>) -> Flow;
    let cases: [(Says, Outcome, u64); 4] = [
        (
            |call| Flow::Deny(call.denied("inside", "no")),
            Outcome::Denied,
            0,
        ),
        (
            |call| Flow::Reject(call.rejected("inside", "full", Some(3.secs()))),
            Outcome::Failed,
            6,
        ),
        (
            |call| Flow::Reject(call.error(StageErrorKind::Invalid, "no `name`")),
            Outcome::Failed,
            0,
        ),
        (
            |call| Flow::Reject(call.bare_error(StageErrorKind::KeyReused)),
            Outcome::Failed,
            0,
        ),
    ];
    for (flow, outcome, took) in cases {
        paused(async {
            let lab = Lab::with(|builder| builder.intercept(plain(3)).intercept(Inside(flow)));
            let stage = script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe);
            let pipeline = alone(stage, Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!((report.outcome(), lab.probe.calls()), (outcome, 0));
            assert_eq!(report.duration(), Duration::from_secs(took));
            let waits = usize::from(took > 0) * 2;
            let said = said(&lab.sink.all());
            assert_eq!(super::count(&said, "scheduled"), waits);
        });
    }
}

#[test]
fn a_panic_is_tried_again_if_it_counts_as_transient() {
    paused(async {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(CatchPanic::transient());
            builder.intercept(plain(3))
        });
        let stage: Script = script::panic("odd").then(script::ok(4));
        let pipeline = alone(stage.watched_by(&lab.probe), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!((report.output().unwrap(), lab.probe.calls()), (&4, 2));
        assert_eq!(said(&lab.sink.all())[0].1["code"], "SF0302");
    });
}

#[test]
fn a_failure_that_is_final_after_others_keeps_them() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(5)));
        let stage: Script = script::transient("busy").then(script::fail("wrong"));
        let pipeline = alone(stage.watched_by(&lab.probe), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let error = &report.errors()[0];
        assert_eq!((lab.probe.calls(), error.earlier().len()), (2, 1));
        assert_eq!(error.class(), ErrorClass::Permanent);
        let exhausted = json!({ "attempts": 2, "why": "permanent" });
        assert_eq!(said(&lab.sink.all()).last().unwrap().1, exhausted);
    });
}

#[test]
fn one_may_say_what_is_worth_it() {
    let asked = Arc::new(AtomicU32::new(0));
    let when = |worth_it: fn(&StageError) -> bool| {
        let asked = Arc::clone(&asked);
        plain(3).when(move |error| {
            asked.fetch_add(1, Ordering::Relaxed);
            worth_it(error)
        })
    };
    let text = |error: &StageError| error.to_string().contains("429");
    type Make = fn() -> Script;
    let cases: [(Make, Retry, usize, u32); 5] = [
        (|| script::fail("429"), when(text), 3, 3),
        (|| script::transient("500"), when(text), 1, 1),
        (|| script::panic("odd"), when(|_| true), 3, 3),
        (|| script::skip("nothing"), when(|_| true), 1, 0),
        (|| script::cancel("enough"), when(|_| true), 1, 0),
    ];
    for (stage, retry, calls, times) in cases {
        paused(async {
            let lab = Lab::with(|builder| builder.intercept(retry));
            let pipeline = alone(stage().watched_by(&lab.probe), Placement::Inline);
            let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(lab.probe.calls(), calls);
            assert_eq!(asked.swap(0, Ordering::Relaxed), times);
        });
    }
}

#[test]
fn a_stage_that_asks_for_another_attempt_gets_it() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(2)));
        let times = Times::default();
        let stage = times.failing(|| Stop::retry("not yet"));
        let pipeline = alone(stage, Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(times.gaps(), [500.millis()]);
        assert_eq!(report.errors()[0].code(), "SF0306");
    });
}
