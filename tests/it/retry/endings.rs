//! Whatever ends a run ends the wait for another attempt.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use serde_json::json;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};
use tokio::time::{Instant, sleep};

use super::{count, plain, said};
use crate::support::{Lab, alone, outcomes};

const SLOW: Duration = Duration::from_secs(30);

#[test]
fn a_cancel_ends_the_wait_at_once_whatever_grace_there_is() {
    for (placement, grace) in [
        (Placement::Inline, 0),
        (Placement::Inline, 60),
        (Placement::Spawn, 0),
        (Placement::Spawn, 60),
    ] {
        paused(async {
            let lab = Lab::with(|builder| {
                let builder = builder.intercept(plain(5).first(SLOW));
                builder.grace(Duration::from_secs(grace))
            });
            let stage = script::transient::<Arc<u64>, u64>("busy").watched_by(&lab.probe);
            let pipeline = alone(stage, placement);
            let started = Instant::now();
            let run = lab.engine.run(&pipeline, 1, RunOptions::new());
            let handle = run.handle();
            let stop = async {
                sleep(50.millis()).await;
                handle.cancel("enough");
            };
            let (report, ()) = tokio::join!(run, stop);
            assert_eq!(started.elapsed(), 50.millis(), "{placement:?}, {grace} s");
            assert_eq!(report.outcome(), Outcome::Cancelled);
            assert_eq!((lab.probe.calls(), report.errors().len()), (1, 0));
            let said = said(&lab.sink.all());
            assert_eq!((count(&said, "scheduled"), said.len()), (1, 1));
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn a_stage_that_fails_ends_the_wait_of_another() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(5).first(SLOW)));
        let mut p = Pipeline::builder("two");
        let n = p.input::<u64>();
        let busy = p
            .stage("busy", script::transient::<Arc<u64>, u64>("busy"))
            .after(n);
        let wrong = script::fail::<Arc<u64>, u64>("wrong").taking(2.secs());
        let wrong = p.stage("wrong", wrong).after(n);
        let both = p.stage("both", script::ok(1)).after((busy, wrong));
        let pipeline = p.output(both).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.duration(), 2.secs());
        assert_eq!(outcomes(&report)[..2], ["busy cancelled", "wrong failed"]);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_run_that_is_dropped_takes_the_wait_with_it() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(5).first(SLOW)));
        let stage = script::transient::<Arc<u64>, u64>("busy").watched_by(&lab.probe);
        let pipeline = alone(stage, Placement::Inline);
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert!(poll!(&mut run).is_pending());
        sleep(50.millis()).await;
        drop(run);
        lab.engine.settled().await;
        sleep(SLOW * 2).await;
        assert_eq!(lab.probe.calls(), 1);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn nobody_waits_for_an_attempt_that_the_deadline_would_not_let_start() {
    // Given up at once if the delay of 10 s does not end before the deadline.
    for (deadline, calls, took) in [(9_999, 1, 0), (10_000, 1, 0), (10_001, 2, 10_000)] {
        paused(async {
            let retry = Retry::constant(2).first(10.secs()).jitter(Jitter::None);
            let lab = Lab::with(|builder| builder.intercept(retry));
            let stage = script::transient::<Arc<u64>, u64>("busy").watched_by(&lab.probe);
            let pipeline = alone(stage, Placement::Inline);
            let options = RunOptions::new().deadline(Duration::from_millis(deadline));
            let report = lab.engine.run(&pipeline, 1, options).await;
            assert_eq!(report.outcome(), Outcome::Failed, "{deadline}");
            assert_eq!(report.duration(), Duration::from_millis(took), "{deadline}");
            assert_eq!(lab.probe.calls(), calls, "{deadline}");
            let why = if calls == 1 { "deadline" } else { "attempts" };
            let expected = json!({ "attempts": calls, "why": why });
            assert_eq!(said(&lab.sink.all()).last().unwrap().1, expected);
        });
    }
}

#[test]
fn an_attempt_that_fails_because_the_run_is_told_to_stop_is_the_last() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(plain(5)).grace(5.secs()));
        let probe = lab.probe.clone();
        let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
            let live = probe.enter();
            async move {
                cx.cancelled().await;
                live.done();
                Err::<u64, _>(Stop::transient("the connection was closed"))
            }
        });
        let pipeline = alone(stage, Placement::Inline);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let stop = async {
            sleep(50.millis()).await;
            handle.cancel("enough");
        };
        let (report, ()) = tokio::join!(run, stop);
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!((lab.probe.calls(), report.duration()), (1, 50.millis()));
        assert_eq!(said(&lab.sink.all()), []);
    });
}
