//! Stages that hold their thread and do not let go: who sees them, and whom they hold up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stageflow::context::Outcome;
use stageflow::events::EventKind;
use stageflow::executor::{BlockingNow, Holder};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, script};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Lab, OpenInTheEnd, PLACEMENTS, PassOn, alone, placed};

/// A stage that holds its thread at a gate, and says once it does.
fn holding(gate: &Gate) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    script::ok(1).holding_thread_until(gate)
}

/// Waits until somebody is seen. On a thread of its own: a worker that is held keeps the tasks that wait behind it.
fn seen(engine: &Engine) -> BlockingNow {
    let most = Instant::now() + 60.secs();
    loop {
        if let Some(blocking) = engine.blocking().pop() {
            return blocking;
        }
        assert!(Instant::now() < most, "nobody is seen");
        std::thread::yield_now();
    }
}

/// Beside the test, on a thread of its own.
fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinSet<T> {
    let mut tasks = JoinSet::new();
    tasks.spawn_blocking(work);
    tasks
}

fn watched_lab() -> Lab {
    Lab::with(|builder| builder.watchdog(1.millis()))
}

#[test]
fn a_stage_that_does_not_let_go_is_named_while_it_holds_the_thread() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        for (placement, waits) in [
            (Placement::Inline, false),
            (Placement::Inline, true),
            (Placement::Spawn, false),
            (Placement::Spawn, true),
        ] {
            let lab = Lab::with(|builder| {
                let builder = builder.watchdog(1.millis());
                if waits {
                    builder.intercept(PassOn)
                } else {
                    builder
                }
            });
            let gate = Gate::new();
            let _open = OpenInTheEnd(&gate);
            let mut p = Pipeline::builder("stuck");
            let n = p.input::<u64>();
            let light = p.stage("light", script::ok::<Arc<u64>, u64>(1)).after(n);
            let heavy = placed(p.stage("heavy", holding(&gate)), placement).after(light);
            let pipeline = p.output(heavy).build().unwrap();
            let run = lab.engine.run(&pipeline, 1, RunOptions::new());
            let id = run.id();
            let engine = lab.engine.clone();
            let open = gate.clone();
            let watching = beside(move || {
                let blocking = seen(&engine);
                open.open();
                blocking
            });
            let report = run.await;
            let blocking = watching.join_all().await.remove(0);
            assert_eq!((blocking.run, &*blocking.pipeline), (id, "stuck"));
            assert_eq!(
                (blocking.stage.as_str(), blocking.holder),
                ("heavy", Holder::Stage)
            );
            assert!(blocking.held >= 1.millis());
            assert!(lab.engine.blocking().is_empty(), "it has let go");
            assert_eq!(report.blocking().len(), 1, "{placement:?}, waits {waits}");
            assert_eq!(report.blocking()[0].stage.get(), 1);
            let said = lab.assert_nothing_left().await;
            assert_eq!(
                said[3..],
                [
                    "heavy started 1",
                    "heavy held the thread",
                    "heavy succeeded 1",
                    "run succeeded"
                ],
                "{placement:?}, waits {waits}"
            );
        }
    });
}

#[test]
fn on_a_worker_of_its_own_it_is_an_event_while_it_holds_that() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        let lab = watched_lab();
        let gate = Gate::new();
        let _open = OpenInTheEnd(&gate);
        let pipeline = alone(holding(&gate), Placement::Spawn);
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let (run, mut stream) = run.stream(StreamOptions::new());
        let reading = async {
            while let Some(item) = stream.next().await {
                if let Some(EventKind::BlockingDetected { .. }) = item.event() {
                    gate.open();
                }
            }
        };
        let (report, ()) = tokio::join!(run, reading);
        assert!(report.is_success());
        lab.assert_nothing_left().await;
    });
}

/// A hook that holds the thread at a gate.
struct HoldingHook(Gate);

impl Hook for HoldingHook {
    fn name(&self) -> &str {
        "holding"
    }

    fn enter(&self, _call: &mut Call<'_>) -> Flow {
        self.0.hold_thread();
        Flow::Pass
    }
}

/// A layer that waits, and holds the thread at a gate afterwards.
struct HoldingAround(Gate);

#[async_trait]
impl Around for HoldingAround {
    fn name(&self) -> &str {
        "holding"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let ending = next.run(call).await;
        self.0.hold_thread();
        ending
    }
}

#[test]
fn a_layer_that_does_not_let_go_is_told_from_the_stage() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        for (waits, placement) in [
            (false, Placement::Inline),
            (true, Placement::Inline),
            (true, Placement::Spawn),
        ] {
            let gate = Gate::new();
            let _open = OpenInTheEnd(&gate);
            let builder = Engine::builder().watchdog(1.millis());
            let engine = if waits {
                builder.intercept(HoldingAround(gate.clone())).build()
            } else {
                builder.intercept(HoldingHook(gate.clone())).build()
            };
            let pipeline = alone(script::ok::<Arc<u64>, u64>(1), placement);
            let (watching, other) = (engine.clone(), gate.clone());
            let blocking = beside(move || {
                let blocking = seen(&watching);
                other.open();
                blocking
            });
            let report = engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(report.is_success());
            let blocking = blocking.join_all().await.remove(0);
            assert_eq!(
                (blocking.stage.as_str(), blocking.holder),
                ("a", Holder::Layer),
                "waits {waits}, {placement:?}"
            );
        }
    });
}

#[test]
fn each_time_is_reported_once_and_waiting_is_not_holding() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        let lab = watched_lab();
        let gates = [Gate::new(), Gate::new()];
        let (_first, _second) = (OpenInTheEnd(&gates[0]), OpenInTheEnd(&gates[1]));
        let [first, second] = gates.clone();
        let between = Gate::new();
        let (engine, free) = (lab.engine.clone(), between.clone());
        let (one, two) = (first.clone(), second.clone());
        let runtime = Handle::current();
        let done = beside(move || {
            seen(&engine);
            one.open();
            runtime.block_on(free.crowd(1));
            // It stands at the gate a moment before the driver has its thread back.
            while !engine.blocking().is_empty() {
                std::thread::yield_now();
            }
            free.open();
            seen(&engine);
            two.open();
        });
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let (first, second, between) = (first.clone(), second.clone(), between.clone());
            async move {
                first.hold_thread();
                between.passed().await;
                second.hold_thread();
                Ok(*n)
            }
        });
        let pipeline = alone(stage, Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        done.join_all().await;
        assert_eq!(report.blocking().len(), 2);
        lab.assert_nothing_left().await;
    });
}

/// A runtime with one thread for tasks, of either kind.
fn one_thread_each(test: impl AsyncFn(&'static str)) {
    let mut single = Builder::new_current_thread();
    let mut multi = Builder::new_multi_thread();
    multi.worker_threads(1);
    for (name, builder) in [("current-thread", &mut single), ("one worker", &mut multi)] {
        let runtime = builder.enable_time().build().unwrap();
        runtime.block_on(async {
            let limit = tokio::time::timeout(60.secs(), test(name));
            assert!(limit.await.is_ok(), "{name}: it hangs");
        });
    }
}

#[test]
fn a_stage_placed_to_block_stalls_neither_its_run_nor_another() {
    one_thread_each(async |name| {
        let lab = watched_lab();
        let gate = Gate::new();
        let _open = OpenInTheEnd(&gate);
        let mut p = Pipeline::builder("beside");
        let n = p.input::<u64>();
        let heavy = p.stage("heavy", holding(&gate)).blocking().after(n);
        let light = p
            .stage("light", script::ok::<Arc<u64>, u64>(2).yielding(20))
            .after(n);
        let both = p
            .stage("both", script::ok::<(Arc<u64>, Arc<u64>), u64>(3))
            .after((heavy, light));
        let pipeline = p.output(both).build().unwrap();
        let (run, mut stream) = lab
            .engine
            .run(&pipeline, 1, RunOptions::new())
            .stream(StreamOptions::new());
        let beside = async {
            // The stage beside it ends while it blocks.
            while let Some(item) = stream.next().await {
                let ended = matches!(item.event(), Some(EventKind::StageEnded { .. }));
                if ended && &*item.path == "light" {
                    break;
                }
            }
            // So does another run.
            let other = alone(
                script::ok::<Arc<u64>, u64>(5).yielding(20),
                Placement::Inline,
            );
            assert!(
                lab.engine
                    .run(&other, 1, RunOptions::new())
                    .await
                    .is_success()
            );
            assert!(!gate.is_open());
            gate.open();
        };
        let (report, ()) = tokio::join!(run, beside);
        assert!(report.is_success(), "{name}");
        assert!(
            report.blocking().is_empty(),
            "it may block, and is not watched"
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_loop_that_blocks_ends_at_its_checkpoint_when_the_run_is_cancelled() {
    one_thread_each(async |name| {
        let lab = Lab::new();
        let going = Arc::new(AtomicBool::new(false));
        let started = Arc::clone(&going);
        let busy = stage_fn(move |cx: StageCx, _: Arc<u64>| {
            let started = Arc::clone(&started);
            async move {
                loop {
                    started.store(true, Ordering::SeqCst);
                    cx.check()?;
                    std::hint::spin_loop();
                }
                #[expect(unreachable_code, reason = "says what the stage would give")]
                Ok(0_u64)
            }
        });
        let mut p = Pipeline::builder("checked");
        let n = p.input::<u64>();
        let done = p.stage("done", script::ok::<Arc<u64>, u64>(7)).after(n);
        let busy = p.stage("busy", busy).blocking().after(done);
        let pipeline = p.output(busy).build().unwrap();
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let cancel = async {
            while !going.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            assert!(handle.cancel("enough"));
        };
        let (report, ()) = tokio::join!(run, cancel);
        assert_eq!(report.outcome(), Outcome::Cancelled, "{name}");
        assert_eq!(report.value(done).as_deref(), Some(&7));
        lab.assert_nothing_left().await;
    });
}

#[tokio::test]
async fn without_a_watchdog_nobody_is_seen() {
    let lab = Lab::new();
    let pipeline = alone(script::ok::<Arc<u64>, u64>(1), Placement::Inline);
    assert!(
        lab.engine
            .run(&pipeline, 1, RunOptions::new())
            .await
            .is_success()
    );
    assert!(lab.engine.blocking().is_empty());
}

#[tokio::test]
async fn a_watchdog_of_any_limit_lets_quick_stages_alone() {
    for limit in [
        0.secs(),
        std::time::Duration::from_nanos(1),
        std::time::Duration::MAX,
    ] {
        for placement in PLACEMENTS {
            let lab = Lab::with(|builder| builder.watchdog(limit));
            let pipeline = alone(script::ok::<Arc<u64>, u64>(1).yielding(3), placement);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(report.is_success(), "{limit:?}");
            if limit == std::time::Duration::MAX {
                assert!(report.blocking().is_empty());
            }
        }
    }
}
