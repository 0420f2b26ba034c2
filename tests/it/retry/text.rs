//! What the error says in the end.

use std::error::Error;
use std::sync::Arc;

use expect_test::expect;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use super::plain;
use crate::support::{Lab, alone};

type Script = Scripted<Arc<u64>, u64>;

/// The error of a stage after so many attempts.
fn error(attempts: u32, stage: Script) -> StageError {
    paused(async {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(plain(attempts).when(|_| true));
            builder.intercept(Timeout::attempt(2.secs()))
        });
        let pipeline = alone(stage, Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        report.errors()[0].clone()
    })
}

/// One after the other, in many ways.
fn mixed() -> Script {
    script::transient("connection reset")
        .then(script::hang())
        .then(script::retry("not yet"))
        .then(script::panic("odd"))
        .then(script::fail("wrong"))
}

#[test]
fn it_tells_of_the_attempts_before() {
    let texts: String = [1, 2, 4, 5, 30]
        .map(|attempts| error(attempts, mixed()).to_string() + "\n")
        .concat();
    expect![[r#"
        SF0301: stage `a` failed (transient): connection reset; try again later, or put a retrying layer around the stage
        SF0303: stage `a` took longer than 2s in attempt 2; before, attempt 1 failed (transient): connection reset; make the stage faster, or raise its limit with `.timeout(..)`
        SF0302: stage `a` panicked in attempt 4: odd; before, attempt 1 failed (transient): connection reset, attempt 2 took longer than 2s, attempt 3 asked for another attempt: not yet; return an error instead of panicking; the message says where
        SF0301: stage `a` failed in attempt 5: wrong; before, attempt 1 failed (transient): connection reset, attempt 2 took longer than 2s, attempt 3 asked for another attempt: not yet, and 1 more; fix the cause, or make the stage `.optional()`
        SF0301: stage `a` failed in attempt 30: wrong; before, attempt 1 failed (transient): connection reset, attempt 2 took longer than 2s, attempt 3 asked for another attempt: not yet, and 26 more; fix the cause, or make the stage `.optional()`
    "#]].assert_eq(&texts);
    let texts = [
        error(2, script::transient("busy")),
        error(2, script::retry("not yet")),
    ];
    let texts = texts.map(|error| error.to_string() + "\n").concat();
    expect![[r#"
        SF0301: stage `a` failed (transient) in attempt 2: busy; before, attempt 1 failed (transient): busy; try again later, or let the retrying layer try more often
        SF0306: stage `a` asked for another attempt and got none in attempt 2: not yet; before, attempt 1 asked for another attempt: not yet; try again later, or let the retrying layer try more often
    "#]].assert_eq(&texts);
}

#[test]
fn what_is_kept_out_of_records_is_kept_out_of_the_attempts_before() {
    let secret = script::transient("token=s3cr3t").then(script::fail("also s3cr3t"));
    let error = error(2, secret);
    let clean = |text: &str| text.replace("s3cr3t", "…");
    let text = error.text_with(&clean, &clean);
    assert_eq!(text, error.to_string().replace("s3cr3t", "…"));
    assert_eq!(text.matches('…').count(), 2);
}

#[derive(Debug, thiserror::Error)]
#[error("status {0}")]
struct Status(u16);

#[test]
fn the_cause_is_what_the_stage_gave_for_all_attempts() {
    let stage = script::give(|_: Arc<u64>| Err(Stop::transient(Status(503))));
    let error = error(3, stage);
    let status = |error: &StageError| {
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<Status>());
        cause.unwrap().0
    };
    assert_eq!(status(&error), 503);
    assert_eq!(
        error.earlier().iter().map(status).collect::<Vec<_>>(),
        [503, 503]
    );
    let numbers: Vec<u32> = error.earlier().iter().map(|e| e.attempt().get()).collect();
    assert_eq!(numbers, [1, 2]);
}
