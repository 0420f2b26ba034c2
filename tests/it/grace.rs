//! What a stage may still do after its run was told to stop.

use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};
use tokio::time::{Instant, sleep};

use crate::support::{Lab, PassOn, outcomes, placed, watched};

/// A pipeline of two stages: `a`, which hears of the end of the run and takes so long to end by itself, and `b` after it.
fn tidy(lab: &Lab, takes: Duration, grace: Option<Duration>, at: Placement) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("tidy");
    let n = p.input::<u64>();
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| async move {
        cx.cancelled().await;
        sleep(takes).await;
        Ok(*n + 1)
    });
    let mut a = placed(p.stage("a", a), at);
    if let Some(grace) = grace {
        a = a.grace(grace);
    }
    let a = a.after(n);
    let b = p
        .stage("b", script::ok::<Arc<u64>, u64>(0).watched_by(&lab.probe))
        .after(a);
    p.output(b).build().unwrap()
}

/// Cancels it after a second, and gives the report and how long it took from there.
async fn cancelled(lab: &Lab, pipeline: &Pipeline<u64, u64>) -> (RunReport<u64>, Duration) {
    let run = lab.engine.run(pipeline, 1, RunOptions::new());
    let handle = run.handle();
    let cancel = async {
        sleep(1.secs()).await;
        handle.cancel("enough");
        Instant::now()
    };
    let (report, since) = tokio::join!(run, cancel);
    (report, since.elapsed())
}

const TASKS: [Placement; 2] = [Placement::Inline, Placement::Spawn];

#[test]
fn what_a_stage_gives_in_its_grace_is_kept_and_nothing_starts_after_it() {
    paused(async {
        for placement in TASKS {
            let lab = Lab::new();
            let pipeline = tidy(&lab, 300.millis(), Some(500.millis()), placement);
            let (report, took) = cancelled(&lab, &pipeline).await;
            assert_eq!(took, 300.millis());
            assert_eq!(report.outcome(), Outcome::Cancelled);
            assert_eq!(outcomes(&report), ["a succeeded", "b cancelled"]);
            assert_eq!(
                **report
                    .value_of("a")
                    .unwrap()
                    .downcast::<u64>()
                    .as_ref()
                    .unwrap(),
                2
            );
            assert_eq!(lab.probe.calls(), 1);
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn a_stage_that_is_slower_than_its_grace_is_dropped_when_that_is_over() {
    paused(async {
        for placement in TASKS {
            let lab = Lab::new();
            let pipeline = tidy(&lab, 800.millis(), Some(500.millis()), placement);
            let (report, took) = cancelled(&lab, &pipeline).await;
            assert_eq!(took, 500.millis(), "{placement:?}");
            assert_eq!(outcomes(&report), ["a cancelled", "b cancelled"]);
            assert_eq!(
                report.cancel_reason().unwrap().to_string(),
                "cancelled: enough"
            );
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn without_grace_a_stage_is_dropped_at_once() {
    paused(async {
        for placement in TASKS {
            let lab = Lab::new();
            let pipeline = tidy(&lab, 300.millis(), None, placement);
            let (report, took) = cancelled(&lab, &pipeline).await;
            assert_eq!(took, Duration::ZERO, "{placement:?}");
            assert_eq!(outcomes(&report), ["a cancelled", "b cancelled"]);
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn a_stage_says_for_itself_and_the_engine_for_the_others() {
    paused(async {
        for (engine, stage, expected) in [
            (500, None, "a succeeded"),
            (500, Some(0), "a cancelled"),
            (100, Some(500), "a succeeded"),
        ] {
            let lab = Lab::with(|builder| builder.grace(Duration::from_millis(engine)));
            let grace = stage.map(Duration::from_millis);
            let pipeline = tidy(&lab, 300.millis(), grace, Placement::Inline);
            let (report, _) = cancelled(&lab, &pipeline).await;
            assert_eq!(outcomes(&report)[0], expected, "{engine} {stage:?}");
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn inside_layers_that_wait_grace_is_the_same() {
    paused(async {
        for (takes, took, expected) in [(300, 300, "a succeeded"), (800, 500, "a cancelled")] {
            let lab = Lab::with(|builder| builder.intercept(PassOn));
            let takes = Duration::from_millis(takes);
            let pipeline = tidy(&lab, takes, Some(500.millis()), Placement::Inline);
            let (report, really) = cancelled(&lab, &pipeline).await;
            assert_eq!(really, Duration::from_millis(took));
            assert_eq!(outcomes(&report)[0], expected);
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn a_failure_or_a_deadline_leaves_the_others_their_grace_too() {
    paused(async {
        for fails in [true, false] {
            let lab = Lab::new();
            let mut p = Pipeline::builder("both");
            let n = p.input::<u64>();
            let other = if fails {
                script::fail("bad luck").taking(1.secs())
            } else {
                script::hang()
            };
            let other = p.stage("other", other).after(n);
            let a = watched(&lab.probe, async |cx: StageCx, _: Arc<u64>| {
                cx.cancelled().await;
                sleep(300.millis()).await;
                // Too late to decide anything.
                Err::<u64, _>(Stop::fail("could not save it"))
            });
            let a = p.stage("a", a).grace(1.secs()).after(n);
            let sum = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
            let sum = p.stage("sum", sum).after((other, a));
            let pipeline = p.output(sum).build().unwrap();
            let options = RunOptions::new().deadline(1.secs() + 1.millis());
            let report = lab.engine.run(&pipeline, 1, options).await;
            let (outcome, first) = if fails {
                (Outcome::Failed, "other")
            } else {
                (Outcome::TimedOut, "a")
            };
            assert_eq!(report.outcome(), outcome);
            assert_eq!(report.errors()[0].stage().as_str(), first);
            assert_eq!(report.stage("a").unwrap().outcome(), Outcome::Failed);
            assert!(report.duration() >= 1300.millis());
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn stages_without_grace_are_dropped_while_one_with_it_goes_on() {
    paused(async {
        let lab = Lab::new();
        let gate = Gate::new();
        let mut p = Pipeline::builder("both");
        let n = p.input::<u64>();
        let a = watched(&lab.probe, async |cx: StageCx, n: Arc<u64>| {
            cx.cancelled().await;
            sleep(300.millis()).await;
            Ok(*n)
        });
        let a = p.stage("a", a).grace(1.secs()).after(n);
        let b = p
            .stage("b", script::ok(2_u64).behind(&gate).watched_by(&lab.probe))
            .after(n);
        let sum = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
        let sum = p.stage("sum", sum).after((a, b));
        let pipeline = p.output(sum).build().unwrap();
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let cancel = async {
            sleep(1.secs()).await;
            handle.cancel("enough");
            sleep(100.millis()).await;
            assert_eq!((lab.probe.live(), gate.waiting()), (1, 0));
        };
        let (report, ()) = tokio::join!(run, cancel);
        assert_eq!(
            outcomes(&report),
            ["a succeeded", "b cancelled", "sum cancelled"]
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn whoever_drops_the_run_leaves_no_grace() {
    paused(async {
        let lab = Lab::new();
        let pipeline = tidy(&lab, 300.millis(), Some(500.millis()), Placement::Inline);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        assert!(tokio::time::timeout(1.secs(), run).await.is_err());
        assert_eq!((lab.probe.live(), lab.probe.ended()), (0, 0));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_thread_that_may_block_has_its_grace_too() {
    let lab_gate = Gate::new();
    stageflow_testkit::TestRuntime::running(stageflow_testkit::Flavour::MultiThread).block_on(
        async {
            let lab = Lab::new();
            let mut p = Pipeline::builder("blocking");
            let n = p.input::<u64>();
            let inside = lab_gate.clone();
            let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
                let inside = inside.clone();
                async move {
                    inside.open();
                    while cx.check().is_ok() {
                        std::thread::yield_now();
                    }
                    tokio::task::yield_now().await;
                    Ok(*n)
                }
            });
            let a = p.stage("a", a).blocking().grace(30.secs()).after(n);
            let pipeline = p.output(a).build().unwrap();
            let run = lab.engine.run(&pipeline, 7, RunOptions::new());
            let handle = run.handle();
            let cancel = async {
                lab_gate.passed().await;
                handle.cancel("enough");
            };
            let (report, ()) = tokio::join!(run, cancel);
            assert_eq!(outcomes(&report), ["a succeeded"]);
            assert_eq!(report.outcome(), Outcome::Cancelled);
            lab.assert_nothing_left().await;
        },
    );
}
