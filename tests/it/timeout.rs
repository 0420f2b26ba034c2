//! Time limits of an attempt: in all, and between signs of life.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use serde_json::json;
use stageflow::context::StageErrorKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, Scripted, script};
use tokio::time::{advance, sleep};

use crate::support::{Lab, OpenInTheEnd, outcomes, placed, watched, with_time_running};

pub(crate) fn slow(lab: &Lab, seconds: u32) -> Scripted<Arc<u64>, u64> {
    script::ok(1).taking(seconds.secs()).watched_by(&lab.probe)
}

#[tokio::test(start_paused = true)]
async fn a_stage_without_a_limit_may_take_a_year() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("patient");
    let n = p.input::<u64>();
    let a = p.stage("a", slow(&lab, 365 * 24 * 3600)).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.duration(), (365 * 24 * 3600).secs());
    assert!(report.is_success());
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn limits_of_stages_side_by_side_are_their_own() {
    for placement in [Placement::Inline, Placement::Spawn] {
        let lab = Lab::new();
        let mut p = Pipeline::builder("limits");
        let n = p.input::<u64>();
        let a = placed(p.stage("a", slow(&lab, 60)), placement)
            .timeout(10.millis())
            .optional()
            .after(n);
        let b = placed(p.stage("b", slow(&lab, 60)), placement)
            .timeout(50.millis())
            .optional()
            .after(n);
        let c = placed(p.stage("c", slow(&lab, 1)), placement)
            .timeout(2.secs())
            .optional()
            .after(n);
        let all = p
            .stage("all", script::ok::<Vec<Arc<Option<u64>>>, u64>(5))
            .after(vec![a, b, c]);
        let pipeline = p.output(all).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(
            outcomes(&report),
            ["a timed_out", "b timed_out", "c succeeded", "all succeeded"]
        );
        let ended = |name| report.stage(name).unwrap().ended().unwrap();
        assert_eq!(
            (ended("a"), ended("b"), ended("c")),
            (10.millis(), 50.millis(), 1.secs())
        );
        let kinds: Vec<_> = report
            .errors()
            .iter()
            .map(|error| error.kind().clone())
            .collect();
        assert_eq!(
            kinds,
            [
                StageErrorKind::TimedOut(10.millis()),
                StageErrorKind::TimedOut(50.millis())
            ]
        );
        assert!(
            report
                .errors()
                .iter()
                .all(|error| error.class() == ErrorClass::Transient)
        );
        lab.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_a_stage_returns_is_not_the_engines() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("own");
    let n = p.input::<u64>();
    let own = stage_fn(async |_cx, n: Arc<u64>| {
        tokio::time::timeout(1.secs(), std::future::pending::<()>()).await?;
        Ok(*n)
    });
    let a = p.stage("a", own).timeout(5.secs()).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(outcomes(&report), ["a failed"]);
    assert_eq!(
        report.error().unwrap().kind(),
        &StageErrorKind::Failed(ErrorClass::Permanent)
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_ends_at_its_limit_has_ended_in_time() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("just");
    let n = p.input::<u64>();
    let a = p.stage("a", slow(&lab, 1)).timeout(1.secs()).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(outcomes(&report), ["a succeeded"]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_that_never_suspends_is_not_timed() {
    let lab = Lab::with(|builder| builder.intercept(Timeout::attempt(Duration::ZERO)));
    let mut p = Pipeline::builder("at-once");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    let pipeline = p.output(a).build().unwrap();
    assert!(
        lab.engine
            .run(&pipeline, 1, RunOptions::new())
            .await
            .is_success()
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_the_end_of_time_is_no_limit() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("for-ever");
    let n = p.input::<u64>();
    let a = p
        .stage("a", slow(&lab, 10))
        .timeout(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    assert!(
        lab.engine
            .run(&pipeline, 1, RunOptions::new().deadline(Duration::MAX))
            .await
            .is_success()
    );
    lab.assert_nothing_left().await;
}

/// Gives so many signs of life, a second apart, and then none.
fn beating(
    lab: &Lab,
    beats: u32,
    beat: impl Fn(&StageCx) + Send + Sync + 'static,
) -> impl Stage<Input = Arc<u64>, Output = u64> {
    let beat = Arc::new(beat);
    watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        let beat = Arc::clone(&beat);
        async move {
            for _ in 0..beats {
                sleep(1.secs()).await;
                beat(&cx);
            }
            sleep(100.secs()).await;
            Ok(*n)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_idle_limit_counts_from_the_last_sign_of_life() {
    type Sign = (&'static str, fn(&StageCx));
    let signs: [Sign; 3] = [
        ("a heartbeat", |cx| cx.heartbeat()),
        ("an event", |cx| {
            cx.try_emit("still.here", json!(1)).unwrap();
        }),
        ("an event that is refused", |cx| {
            assert!(cx.try_emit("No!", json!(1)).is_err());
        }),
    ];
    for (sign, beat) in signs {
        for placement in [Placement::Inline, Placement::Spawn] {
            let lab = Lab::new();
            let mut p = Pipeline::builder("idle");
            let n = p.input::<u64>();
            let a = placed(p.stage("a", beating(&lab, 5, beat)), placement)
                .idle_timeout(1500.millis())
                .after(n);
            let pipeline = p.output(a).build().unwrap();
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(
                report.error().unwrap().kind(),
                &StageErrorKind::IdleTimedOut(1500.millis()),
                "{sign}"
            );
            assert_eq!(
                report.stage("a").unwrap().ended(),
                Some(6500.millis()),
                "{sign}, {placement:?}"
            );
            lab.assert_nothing_left().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_before_the_first_suspension_counts() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("early");
    let n = p.input::<u64>();
    let early = watched(&lab.probe, async |cx: StageCx, n: Arc<u64>| {
        // Time passes inside the first poll, as it does for a stage that computes before it waits.
        let mut work = Box::pin(advance(2.secs()));
        let _ = poll!(&mut work);
        cx.heartbeat();
        sleep(1.secs()).await;
        Ok(*n)
    });
    let a = p.stage("a", early).idle_timeout(1500.millis()).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(outcomes(&report), ["a succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn the_total_limit_holds_however_lively_a_stage_is() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("lively");
    let n = p.input::<u64>();
    let lively = beating(&lab, 50, StageCx::heartbeat);
    let a = p
        .stage("a", lively)
        .idle_timeout(2.secs())
        .timeout(10.secs())
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        report.error().unwrap().kind(),
        &StageErrorKind::TimedOut(10.secs())
    );
    assert_eq!(report.duration(), 10.secs());
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_stage_come_before_those_of_a_layer() {
    let limits = Timeout::idle(2.secs()).total(20.secs());
    let lab = Lab::with(|builder| builder.intercept(limits));
    let mut p = Pipeline::builder("whose");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::hang::<Arc<u64>, u64>())
        .idle_timeout(5.secs())
        .optional()
        .after(n);
    let b = p
        .stage("b", beating(&lab, 90, StageCx::heartbeat))
        .optional()
        .after(n);
    let c = p
        .stage("c", beating(&lab, 90, StageCx::heartbeat))
        .timeout(30.secs())
        .optional()
        .after(n);
    let d = p
        .stage("d", script::hang::<Arc<u64>, u64>())
        .optional()
        .after(n);
    let all = p
        .stage(
            "all",
            stage_fn(async |_cx, _: Vec<Arc<Option<u64>>>| Ok(0_u64)),
        )
        .after(vec![a, b, c, d]);
    let pipeline = p.output(all).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let kind = |name| report.stage(name).unwrap().error().unwrap().kind().clone();
    assert_eq!(
        kind("a"),
        StageErrorKind::IdleTimedOut(5.secs()),
        "its own idle limit over the layer's"
    );
    assert_eq!(
        kind("b"),
        StageErrorKind::TimedOut(20.secs()),
        "the layer's, of two layers the first's"
    );
    assert_eq!(
        kind("c"),
        StageErrorKind::TimedOut(30.secs()),
        "its own over the layer's"
    );
    assert_eq!(
        kind("d"),
        StageErrorKind::IdleTimedOut(2.secs()),
        "the layer's"
    );
}

#[tokio::test(start_paused = true)]
async fn a_blocking_stage_at_an_await_is_stopped_at_its_limit() {
    for idle in [false, true] {
        let lab = Lab::new();
        let mut p = Pipeline::builder("blocking");
        let n = p.input::<u64>();
        let hang = p
            .stage("a", script::hang::<Arc<u64>, u64>().watched_by(&lab.probe))
            .blocking();
        let limited = if idle {
            hang.idle_timeout(1.secs())
        } else {
            hang.timeout(1.secs())
        };
        let a = limited.optional().after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = with_time_running(lab.engine.run(&pipeline, 1, RunOptions::new())).await;
        assert_eq!(outcomes(&report), ["a timed_out"], "idle {idle}");
        assert_eq!(report.output().unwrap(), &None);
        lab.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_stage_that_holds_its_thread_beyond_its_limit_is_waited_for() {
    let lab = Lab::new();
    let gate = Gate::new();
    let _gate = OpenInTheEnd(&gate);
    let mut p = Pipeline::builder("held");
    let n = p.input::<u64>();
    let held = script::ok::<Arc<u64>, u64>(4)
        .holding_thread_until(&gate)
        .watched_by(&lab.probe);
    let a = p.stage("a", held).blocking().timeout(1.secs()).after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let release = async {
        gate.crowd(1).await;
        advance(100.secs()).await;
        gate.open();
    };
    let (report, ()) = tokio::join!(run, release);
    assert_eq!(
        lab.probe.live(),
        0,
        "the run is over only when the thread is free"
    );
    assert_eq!(
        report.output().unwrap(),
        &4,
        "what it still managed to give is kept"
    );
    lab.assert_nothing_left().await;
}
