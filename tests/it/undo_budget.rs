//! The time that undoing has: an end is always reached, and what hangs takes nothing from the others.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow::executor::RunReport;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use crate::support::{Lab, Log};
use crate::undo::{undos, written};

/// Stages of which those called `hangs..` cannot be undone, one after the other, and then one that fails.
async fn run(lab: &Lab, log: &Log, names: &[&str], policy: UndoPolicy) -> RunReport<u64> {
    let mut p = Pipeline::builder("chain");
    let mut at = p.input::<u64>();
    for name in names {
        let stage = p.stage(name, script::ok(1_u64));
        let stage = if name.starts_with("hangs") {
            stage.undo_with(policy, |_cx, _| std::future::pending())
        } else {
            stage.undo_with(policy, written(log))
        };
        at = stage.after(at);
    }
    let last = p
        .stage("last", script::fail::<Arc<u64>, u64>("no"))
        .after(at);
    let pipeline = p.output(last).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    lab.sink.assert_sound(pipeline.plan());
    report
}

#[test]
fn an_attempt_that_takes_too_long_is_dropped_and_made_again() {
    paused(async {
        let (lab, log) = (Lab::new(), Log::default());
        let report = run(&lab, &log, &["a", "hangs"], UndoPolicy::new()).await;
        // The budget is 30 s and there are two to undo: 15 s for the first, 5 s an attempt, 200 and 400 ms between.
        let late = "hangs timed_out 3: it did not end in time";
        assert_eq!(undos(&report), [late, "a succeeded 1"]);
        assert_eq!(report.duration(), 15.secs());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn undoing_ends_with_its_budget_and_says_what_was_not_tried() {
    paused(async {
        let lab = Lab::with(|builder| builder.undo_budget(7.secs()));
        let log = Log::default();
        let once = UndoPolicy::new().attempts(NonZeroU32::MIN);
        let report = run(&lab, &log, &["a", "hangs1", "hangs2"], once).await;
        let expected = [
            "hangs2 timed_out 1: it did not end in time",
            "hangs1 timed_out 1: it did not end in time",
            "a timed_out 0: there was no time left to start it",
        ];
        assert_eq!(undos(&report), expected);
        assert_eq!(report.duration(), 7.secs());
        assert!(log.lines().is_empty());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn one_that_hangs_is_tried_again_only_in_its_share_of_the_time() {
    paused(async {
        let lab = Lab::with(|builder| builder.undo_budget(20.secs()));
        let log = Log::default();
        let often = UndoPolicy::new()
            .attempts(NonZeroU32::new(100).unwrap())
            .attempt_timeout(1.secs())
            .constant(Duration::ZERO);
        let report = run(&lab, &log, &["a", "b", "c", "hangs"], often).await;
        // A quarter of the time is its share.
        assert_eq!(
            undos(&report)[0],
            "hangs timed_out 5: it did not end in time"
        );
        assert_eq!(log.lines(), ["c 1", "b 1", "a 1"]);
        assert_eq!(report.duration(), 5.secs());
    });
}

#[test]
fn without_a_budget_nothing_is_undone_and_the_report_says_so() {
    paused(async {
        let lab = Lab::with(|builder| builder.undo_budget(Duration::ZERO));
        let log = Log::default();
        let report = run(&lab, &log, &["a"], UndoPolicy::new()).await;
        assert!(log.lines().is_empty());
        assert_eq!(
            undos(&report),
            ["a timed_out 0: there was no time left to start it"]
        );
        assert!(!report.is_undone());
        assert_eq!(report.duration(), Duration::ZERO);
    });
}

#[test]
fn cleanups_have_their_time_after_undos_that_used_theirs_up() {
    paused(async {
        let lab = Lab::with(|builder| builder.undo_budget(2.secs()));
        let tidying = lab.tidying.clone();
        let mut p = Pipeline::builder("both");
        let n = p.input::<u64>();
        let a = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            tidying.add(&cx, "tidy");
            async move { Ok(*n) }
        });
        let hangs = |_cx: UndoCx, _: Given<u64>| std::future::pending();
        let a = p.stage("a", a).undo(hangs).after(n);
        let b = p.stage("b", script::fail::<Arc<u64>, u64>("no")).after(a);
        let pipeline = p.output(b).build().unwrap();
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert_eq!(report.duration(), 2.secs());
        lab.sink.assert_sound(pipeline.plan());
        lab.assert_nothing_left().await;
    });
}
