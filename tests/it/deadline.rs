//! The deadline of a run.

use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};
use tokio::time::{Instant, sleep};

use crate::support::{
    Lab, PLACEMENTS, PassOn, outcomes, placed, wake_myself, watched, with_time_running,
};
use crate::timeout::slow;

#[test]
fn the_deadline_of_a_run_reaches_stages_in_every_place() {
    paused(async {
        for placement in PLACEMENTS {
            let lab = Lab::with(|builder| builder.deadline(100.secs()));
            let mut p = Pipeline::builder("deadline");
            let n = p.input::<u64>();
            let done = p.stage("done", script::ok::<Arc<u64>, u64>(3)).after(n);
            let told = watched(&lab.probe, async |cx: StageCx, _: Arc<u64>| {
                cx.record("left", (cx.deadline().is_some(), cx.remaining()))?;
                std::future::pending::<Result<u64, Stop>>().await
            });
            let a = placed(p.stage("a", told), placement).after(done);
            let pipeline = p.output(a).build().unwrap();
            let started = Instant::now();
            let run = lab
                .engine
                .run(&pipeline, 1, RunOptions::new().deadline(2.secs()));
            let report = if placement == Placement::Blocking {
                with_time_running(run).await
            } else {
                run.await
            };
            assert_eq!(report.outcome(), Outcome::TimedOut, "{placement:?}");
            assert!(
                placement == Placement::Blocking || started.elapsed() == 2.secs(),
                "{placement:?}"
            );
            assert_eq!(outcomes(&report), ["done succeeded", "a cancelled"]);
            assert_eq!(
                (report.value(done).as_deref(), report.errors().len()),
                (Some(&3), 0)
            );
            assert!(
                report
                    .output()
                    .unwrap_err()
                    .to_string()
                    .contains("the run took longer than 2s")
            );
            // A thread may start so late that there is nothing to be done any more.
            if placement != Placement::Blocking {
                let left = report.recorded().unwrap();
                let left = left.get::<(bool, Option<Duration>)>("left").unwrap();
                assert_eq!(*left.unwrap(), (true, Some(2.secs())));
            }
            lab.assert_nothing_left().await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_call_and_not_from_the_first_poll() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("queued");
    let n = p.input::<u64>();
    let a = p.stage("a", slow(&lab, 1)).after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab
        .engine
        .run(&pipeline, 1, RunOptions::new().deadline(5.secs()));
    sleep(10.secs()).await;
    let report = run.await;
    assert_eq!(
        (report.outcome(), lab.probe.calls()),
        (Outcome::TimedOut, 0)
    );
    assert_eq!(report.stage("a").unwrap().started(), None);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_that_always_wakes_itself_still_meets_its_limits() {
    for (of_the_run, waits) in [(false, false), (true, false), (false, true), (true, true)] {
        let lab = Lab::with(|builder| {
            if waits {
                builder.intercept(PassOn)
            } else {
                builder
            }
        });
        let mut p = Pipeline::builder("restless");
        let n = p.input::<u64>();
        let restless = watched(&lab.probe, async |_cx, _: Arc<u64>| -> Result<u64, Stop> {
            // So much that a defect ends the test and not its patience.
            for _ in 0..5_000_000 {
                wake_myself().await;
            }
            Ok(0)
        });
        let stage = p.stage("a", restless);
        let a = if of_the_run {
            stage.after(n)
        } else {
            stage.timeout(10.millis()).after(n)
        };
        let pipeline = p.output(a).build().unwrap();
        let options = RunOptions::new();
        let options = if of_the_run {
            options.deadline(10.millis())
        } else {
            options
        };
        let report = lab.engine.run(&pipeline, 1, options).await;
        let expected = if of_the_run {
            Outcome::TimedOut
        } else {
            Outcome::Failed
        };
        assert_eq!(
            report.outcome(),
            expected,
            "of the run: {of_the_run}, waits {waits}, after {:?}",
            report.duration()
        );
        lab.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_zero_starts_nothing_and_reports_it() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("no-time");
    let n = p.input::<u64>();
    let a = p
        .stage("a", watched(&lab.probe, async |_cx, n: Arc<u64>| Ok(*n)))
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, 1, RunOptions::new().deadline(0.secs()))
        .await;
    assert_eq!(report.outcome(), Outcome::TimedOut);
    assert_eq!(report.output().unwrap_err().code(), "SF0403");
    assert_eq!(outcomes(&report), ["a cancelled"]);
    assert_eq!(report.stage("a").unwrap().started(), None);
    assert_eq!(
        lab.assert_nothing_left().await,
        ["run started", "run timed_out: the run took longer than 0ns"]
    );
}
