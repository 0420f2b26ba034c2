//! What becomes of the rest of a run when a stage has failed, and which failure counts.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::executor::RunReport;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};
use tokio::sync::oneshot;

use crate::support::{Lab, outcomes};

type S = Scripted<Arc<u64>, u64>;

fn slow(stage: S, millis: u64) -> S {
    stage.taking(Duration::from_millis(millis))
}

/// `bad` fails after 10 ms, `beside` takes 20 ms; each has a stage after it, and `last` needs both.
fn fork() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("fork");
    let n = p.input::<u64>();
    let bad = p.stage("bad", slow(script::fail("no"), 10)).after(n);
    let beside = p.stage("beside", slow(script::ok(1), 20)).after(n);
    let after_bad = p.stage("after-bad", slow(script::ok(2), 0)).after(bad);
    let after_beside = p
        .stage("after-beside", slow(script::ok(3), 0))
        .after(beside);
    let both = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
    let last = p.stage("last", both).after((after_bad, after_beside));
    p.output(last).build().unwrap()
}

async fn under(lab: &Lab, policy: FailurePolicy) -> RunReport<u64> {
    let options = RunOptions::new().on_failure(policy);
    lab.engine.run(&fork(), 1, options).await
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_everything_unless_something_else_is_said() {
    let lab = Lab::new();
    let report = under(&lab, FailurePolicy::default()).await;
    assert_eq!(
        outcomes(&report),
        [
            "bad failed",
            "beside cancelled",
            "after-bad cancelled",
            "after-beside cancelled",
            "last cancelled"
        ]
    );
    assert_eq!(report.duration(), Duration::from_millis(10));
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_independent_goes_on() {
    let lab = Lab::new();
    let report = under(&lab, FailurePolicy::ContinueIndependent).await;
    assert_eq!(
        outcomes(&report),
        [
            "bad failed",
            "beside succeeded",
            "after-bad skipped",
            "after-beside succeeded",
            "last skipped"
        ]
    );
    for stage in ["after-bad", "last"] {
        assert_eq!(
            report.stage(stage).unwrap().skip_reason(),
            Some("stage `bad` failed")
        );
    }
    assert_eq!(report.duration(), Duration::from_millis(20));
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(report.error().unwrap().stage().as_str(), "bad");
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_may_end_and_nothing_new_starts() {
    let lab = Lab::new();
    let report = under(&lab, FailurePolicy::Drain).await;
    assert_eq!(
        outcomes(&report),
        [
            "bad failed",
            "beside succeeded",
            "after-bad cancelled",
            "after-beside cancelled",
            "last cancelled"
        ]
    );
    assert_eq!(report.duration(), Duration::from_millis(20));
    assert_eq!(report.outcome(), Outcome::Failed);
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_engine_has_a_policy_and_a_run_may_have_another() {
    let lab = Lab::with(|builder| builder.on_failure(FailurePolicy::ContinueIndependent));
    let report = lab.engine.run(&fork(), 1, RunOptions::new()).await;
    assert_eq!(
        report.stage("beside").unwrap().outcome(),
        Outcome::Succeeded
    );
    let report = under(&lab, FailurePolicy::FailFast).await;
    assert_eq!(
        report.stage("beside").unwrap().outcome(),
        Outcome::Cancelled
    );
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_a_run_that_goes_on_is_told_the_first_one_first() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("many");
    let n = p.input::<u64>();
    let a = p.stage("a", slow(script::fail("late"), 20)).after(n);
    let b = p.stage("b", slow(script::fail("soon"), 10)).after(n);
    let c = p.stage("c", slow(script::ok(1), 30)).after(n);
    let d = p.join("d", Join::settled(), [a, b, c]);
    let pipeline = p.output(d).build().unwrap();
    let options = RunOptions::new().on_failure(FailurePolicy::ContinueIndependent);
    let report = lab.engine.run(&pipeline, 1, options).await;
    let told: Vec<_> = report
        .errors()
        .iter()
        .map(|error| error.stage().as_str())
        .collect();
    assert_eq!(told, ["b", "a"]);
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(
        report.value(d).unwrap().len(),
        1,
        "a join takes those that ran"
    );
    assert!(report.output().is_err());
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_denial_a_cancel_and_the_deadline_end_a_run_that_goes_on() {
    let lab = Lab::new();
    let goes_on = || RunOptions::new().on_failure(FailurePolicy::ContinueIndependent);
    let report = lab
        .engine
        .run(&fork(), 1, goes_on().deadline(Duration::from_millis(15)))
        .await;
    assert_eq!(report.duration(), Duration::from_millis(15));
    assert_eq!(report.outcome(), Outcome::Failed, "what came first decides");
    assert_eq!(
        report.stage("beside").unwrap().outcome(),
        Outcome::Cancelled
    );
    assert!(
        report.cancel_reason().unwrap().to_string().contains("15"),
        "{:?}",
        report.cancel_reason()
    );

    for policy in [FailurePolicy::ContinueIndependent, FailurePolicy::Drain] {
        let mut p = Pipeline::builder("asks");
        let n = p.input::<u64>();
        let bad = p.stage("bad", slow(script::fail("no"), 10)).after(n);
        let asks = p.stage("asks", slow(script::cancel("enough"), 20)).after(n);
        let long = p.stage("long", slow(script::ok(1), 90)).after(n);
        let all = p.join("all", Join::settled(), [bad, asks, long]);
        let pipeline = p.output(all).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, 1, RunOptions::new().on_failure(policy))
            .await;
        assert_eq!(report.duration(), Duration::from_millis(20), "{policy:?}");
        assert_eq!(report.stage("long").unwrap().outcome(), Outcome::Cancelled);
        assert_eq!(report.outcome(), Outcome::Failed);
    }
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_waits_for_a_slot_does_not_get_it_while_a_run_drains() {
    let lab = Lab::new();
    let options = RunOptions::new()
        .on_failure(FailurePolicy::Drain)
        .concurrency(const { NonZeroUsize::new(2).unwrap() });
    let mut p = Pipeline::builder("narrow");
    let n = p.input::<u64>();
    let bad = p.stage("bad", slow(script::fail("no"), 10)).after(n);
    let long = p.stage("long", slow(script::ok(1), 50)).after(n);
    let waits = p.stage("waits", slow(script::ok(1), 0)).after(n);
    let all = p.join("all", Join::settled(), [bad, long, waits]);
    let pipeline = p.output(all).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, options).await;
    assert_eq!(
        outcomes(&report)[..3],
        ["bad failed", "long succeeded", "waits cancelled"]
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_failures_at_the_same_instant_both_are_told_and_the_one_declared_first_decides() {
    let lab = Lab::new();
    for turn in 0..1000 {
        let mut p = Pipeline::builder("twice");
        let n = p.input::<u64>();
        let a = p.stage("a", slow(script::fail("no"), 10)).after(n);
        let b = p.stage("b", slow(script::fail("no"), 10)).after(n);
        let both = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
        let last = p.stage("last", both).after((a, b));
        let pipeline = p.output(last).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let told: Vec<_> = report
            .errors()
            .iter()
            .map(|error| error.stage().as_str())
            .collect();
        assert_eq!(told, ["a", "b"], "run {turn}");
        assert_eq!(report.error().unwrap().stage().as_str(), "a");
    }
    lab.assert_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stages_that_were_woken_before_the_stop_have_their_turn_on_any_runtime() {
    let lab = Lab::new();
    for turn in 0..1000 {
        let (senders, receivers): (Vec<_>, Vec<_>) = [(); 2]
            .map(|()| oneshot::channel::<()>())
            .into_iter()
            .unzip();
        let senders = Mutex::new(senders);
        let mut p = Pipeline::builder("woken");
        let n = p.input::<u64>();
        let mut handles = Vec::new();
        for (index, receiver) in receivers.into_iter().enumerate() {
            let receiver = Mutex::new(Some(receiver));
            let stage = stage_fn(move |_cx, _: Arc<u64>| {
                let receiver = receiver.lock().unwrap().take();
                async move {
                    if let Some(receiver) = receiver {
                        receiver.await?;
                    }
                    Err::<u64, _>(Stop::fail("heard"))
                }
            });
            handles.push(p.stage(format!("w{index}"), stage).after(n));
        }
        let trigger = stage_fn(move |_cx, _: Arc<u64>| {
            let senders = std::mem::take(&mut *senders.lock().unwrap());
            async move {
                for sender in senders {
                    assert_eq!(sender.send(()), Ok(()));
                }
                Err::<u64, _>(Stop::fail("first"))
            }
        });
        handles.push(p.stage("trigger", trigger).after(n));
        let all = p.join("all", Join::settled(), handles);
        let pipeline = p.output(all).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let told: Vec<_> = report
            .errors()
            .iter()
            .map(|error| error.stage().as_str())
            .collect();
        assert_eq!(told, ["trigger", "w0", "w1"], "run {turn}");
    }
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_failure_and_a_cancel_at_the_same_instant_the_one_declared_first_decides() {
    let lab = Lab::new();
    for (order, outcome) in [
        (["bad", "asks"], Outcome::Failed),
        (["asks", "bad"], Outcome::Cancelled),
    ] {
        let mut p = Pipeline::builder("both");
        let n = p.input::<u64>();
        let handles = order.map(|name| {
            let stage = if name == "bad" {
                script::fail("no")
            } else {
                script::cancel("enough")
            };
            p.stage(name, slow(stage, 10)).after(n)
        });
        let all = p.join("all", Join::settled(), handles);
        let pipeline = p.output(all).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), outcome);
        assert_eq!(report.errors().len(), 1, "the failure is told either way");
    }
    lab.assert_nothing_left().await;
}

#[derive(Route)]
enum Way {
    On(u64),
}

#[tokio::test(start_paused = true)]
async fn what_ends_in_the_turn_of_the_stop_still_ends_one_after_the_other() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("order");
    let n = p.input::<u64>();
    p.stage("bad", slow(script::fail("no"), 10)).after(n);
    let decide = stage_fn(async |_cx, _: Arc<u64>| {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(Way::On(1))
    });
    let WayArms { on } = p.route("decide", decide).after(n);
    let late = p.stage("late", slow(script::ok(2), 10)).after(n);
    let first = p.merge("first", [late, on]);
    let pipeline = p.output(first).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.error().unwrap().stage().as_str(), "bad");
    assert_eq!(report.value(late).as_deref(), Some(&2));
    assert_eq!(
        report.value(first).as_deref(),
        Some(&1),
        "the route had its turn before `late`, so its arm came first"
    );
    lab.assert_nothing_left().await;
}
