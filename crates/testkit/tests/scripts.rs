//! Scripted stages do what they are told, call by call.

#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{ErrorClass, Outcome, StageCx, Stop, StopKind};
use stageflow_executor::{Engine, RunOptions};
use stageflow_graph::{Pipeline, Stage, stage_fn};
use stageflow_testkit::{
    Flavour, Gate, Probe, Scripted, TestRuntime, on_each_runtime, paused, script,
};

/// Calls the stage so many times in a row, and says in a word what came of each.
fn calls(stage: Scripted<(), u32>, times: usize) -> Vec<String> {
    paused(async move {
        let said = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (stage, log) = (Arc::new(stage), Arc::clone(&said));
        let caller = stage_fn(move |cx: StageCx, ()| {
            let (stage, log) = (Arc::clone(&stage), Arc::clone(&log));
            async move {
                for _ in 0..times {
                    let word = word(stage.run(cx.clone(), ()).await);
                    log.lock().unwrap().push(word);
                }
                Ok::<(), Stop>(())
            }
        });
        let mut p = Pipeline::builder::<()>("calls");
        let caller = p.stage("caller", caller).root();
        let pipeline = p.output(caller).build().unwrap();
        Engine::new().run(&pipeline, (), RunOptions::new()).await;
        std::mem::take(&mut *said.lock().unwrap())
    })
}

fn word(result: Result<u32, Stop>) -> String {
    match result.map_err(Stop::into_kind) {
        Ok(value) => format!("ok {value}"),
        Err(StopKind::Fail {
            class: ErrorClass::Permanent,
            source,
        }) => format!("fail {source}"),
        Err(StopKind::Fail { source, .. }) => format!("transient {source}"),
        Err(StopKind::Skip(reason)) => format!("skip {reason}"),
        Err(StopKind::Cancel(reason)) => format!("cancel {reason}"),
        Err(StopKind::Retry { after, reason }) => format!("retry {reason} {after:?}"),
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn every_step_is_played_once_and_the_last_one_for_all_further_calls() {
    let second = Duration::from_secs(1);
    let stage = script::fail("a")
        .then(script::transient("b"))
        .then(script::skip("c"))
        .then(script::cancel("d"))
        .then(script::retry("e"))
        .then(script::retry_after(second, "f"))
        .then(script::ok(7));
    let said = [
        "fail a",
        "transient b",
        "skip c",
        "cancel d",
        "retry e None",
        "retry f Some(1s)",
        "ok 7",
        "ok 7",
    ];
    assert_eq!(calls(stage, 8), said);
}

#[test]
fn a_flaky_stage_fails_so_many_times_and_then_gives_its_value() {
    assert_eq!(
        calls(script::flaky(2, 3), 4),
        [
            "transient failure 1 of 2",
            "transient failure 2 of 2",
            "ok 3",
            "ok 3"
        ]
    );
    assert_eq!(calls(script::flaky(0, 3), 1), ["ok 3"]);
}

#[test]
fn a_script_may_look_at_its_input_whatever_its_type() {
    let mut p = Pipeline::builder("sum");
    let n = p.input::<u32>();
    let a = p
        .stage("a", script::give(|n: Arc<u32>| Ok(*n + 1)))
        .after(n);
    let b = p.stage("b", script::ok(2_u32)).after(a);
    let sum = p
        .stage(
            "sum",
            script::give(|(a, b): (Arc<u32>, Arc<u32>)| Ok(*a * 10 + *b)),
        )
        .after((a, b));
    let pipeline = p.output(sum).build().unwrap();
    let report = paused(async { Engine::new().run(&pipeline, 4, RunOptions::new()).await });
    assert_eq!(report.output().unwrap(), &52);
}

/// Runs one stage alone.
async fn alone(stage: Scripted<Arc<u32>, u32>) -> (Outcome, Duration) {
    let mut p = Pipeline::builder("alone");
    let n = p.input::<u32>();
    let stage = p
        .stage("stage", stage)
        .timeout(Duration::from_secs(60))
        .after(n);
    let pipeline = p.output(stage).build().unwrap();
    let report = Engine::new().run(&pipeline, 0, RunOptions::new()).await;
    (report.outcome(), report.duration())
}

#[test]
fn waiting_takes_as_long_as_it_is_told_to() {
    let millis = Duration::from_millis;
    assert_eq!(
        paused(async { alone(script::ok(1).taking(millis(20)).taking(millis(5))).await }),
        (Outcome::Succeeded, millis(25))
    );
    assert_eq!(
        paused(async { alone(script::fail("x").taking(millis(20))).await }),
        (Outcome::Failed, millis(20))
    );
    assert_eq!(
        paused(async { alone(script::ok(1).yielding(5)).await }),
        (Outcome::Succeeded, millis(0))
    );
    assert_eq!(
        paused(async { alone(script::hang()).await }),
        (Outcome::Failed, millis(60_000))
    );
}

#[test]
fn a_panic_is_a_panic_to_the_engine_and_counted_as_dropped() {
    let stage = script::panic("boom");
    let probe = stage.probe();
    assert_eq!(paused(async { alone(stage).await }).0, Outcome::Failed);
    assert_eq!(
        (probe.calls(), probe.live(), probe.ended(), probe.dropped()),
        (1, 0, 0, 1)
    );
}

#[test]
fn a_stage_behind_a_gate_waits_until_it_is_let_through() {
    on_each_runtime(async |_| {
        let (gate, probe) = (Gate::new(), Probe::new());
        let mut p = Pipeline::builder("gated");
        let n = p.input::<u32>();
        let stages: Vec<_> = (0..3)
            .map(|i| {
                p.stage(
                    format!("s{i}"),
                    script::ok(i).behind(&gate).watched_by(&probe),
                )
                .spawn()
                .after(n)
            })
            .collect();
        let all = p
            .stage("all", script::give(|all: Vec<Arc<u32>>| Ok(all.len())))
            .after(stages);
        let pipeline = p.output(all).build().unwrap();
        let engine = Engine::new();
        let keeper = async {
            gate.crowd(3).await;
            assert_eq!((probe.live(), probe.ended()), (3, 0));
            gate.let_through(1);
            while probe.ended() < 1 {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.waiting(), 2);
            gate.open();
        };
        let (report, ()) =
            futures_util::future::join(engine.run(&pipeline, 0, RunOptions::new()), keeper).await;
        assert_eq!(report.output().unwrap(), &3);
        assert_eq!(
            (probe.calls(), probe.peak(), probe.ended(), probe.live()),
            (3, 3, 3, 0)
        );
    });
}

#[test]
fn a_stage_that_holds_its_thread_is_let_go_from_another() {
    let gate = Gate::new();
    let mut p = Pipeline::builder("holding");
    let n = p.input::<u32>();
    let stage = script::ok(1_u32)
        .holding_thread_until(&gate)
        .holding_thread_for(Duration::from_millis(1));
    let stage = p.stage("stage", stage).blocking().after(n);
    let pipeline = p.output(stage).build().unwrap();
    let engine = Engine::new();
    TestRuntime::running(Flavour::CurrentThread).block_on(async {
        let keeper = async {
            gate.crowd(1).await;
            gate.open();
        };
        let (report, ()) =
            futures_util::future::join(engine.run(&pipeline, 0, RunOptions::new()), keeper).await;
        assert_eq!(report.outcome(), Outcome::Succeeded);
    });
    assert!(gate.is_open());
}
