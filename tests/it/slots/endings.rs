//! Whatever the ending, the units are back; never before the stage is gone.

use std::sync::Arc;

use futures_util::future::join;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, on_each_runtime, paused, script};

use super::{level, units};
use crate::support::{
    Lab, OpenInTheEnd, PLACEMENTS, PanicsOnDrop, PassOn, eventually, placed, undisturbed,
    with_time_running,
};

fn needy(
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
    placement: Placement,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("needy");
    let n = p.input::<u64>();
    let a = placed(p.stage("a", stage), placement)
        .pool("gpu", units(2))
        .after(n);
    p.output(a).build().unwrap()
}

/// The same, with a limit: only for stages that never end, because time runs fast while a thread is started.
fn hurried(
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
    placement: Placement,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("hurried");
    let n = p.input::<u64>();
    let a = placed(p.stage("a", stage), placement)
        .pool("gpu", units(2))
        .timeout(1.secs());
    let a = a.after(n);
    p.output(a).build().unwrap()
}

#[test]
fn units_are_back_after_every_ending() {
    for (placement, layers) in PLACEMENTS.into_iter().flat_map(|p| [(p, false), (p, true)]) {
        let endings = || {
            [
                (script::ok(1), Outcome::Succeeded),
                (script::ok(1).taking(5.millis()), Outcome::Succeeded),
                (script::fail("no"), Outcome::Failed),
                (script::fail("no").taking(5.millis()), Outcome::Failed),
                (script::panic("oh"), Outcome::Failed),
                (script::panic("oh").taking(5.millis()), Outcome::Failed),
                (script::skip("nothing to do"), Outcome::Skipped),
                (script::cancel("enough"), Outcome::Cancelled),
                (script::retry("again"), Outcome::Failed),
            ]
        };
        paused(async {
            let lab = Lab::with(|engine| {
                let engine = engine.pool("gpu", units(3));
                if layers {
                    engine.intercept(PassOn)
                } else {
                    engine
                }
            });
            let hanging = (hurried(script::hang(), placement), Outcome::Failed);
            let ending = endings().map(|(script, outcome)| (needy(script, placement), outcome));
            for (pipeline, outcome) in ending.into_iter().chain([hanging]) {
                let run = lab.engine.run(&pipeline, 1, RunOptions::new());
                let report = with_time_running(run).await;
                assert_eq!(report.outcome(), outcome, "{placement:?}");
                assert_eq!(level(&lab.engine, "gpu"), (0, 0), "{placement:?} {outcome}");
            }
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn units_are_back_when_a_value_or_a_future_panics_on_its_way_out() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(3)).build();
        for placement in PLACEMENTS {
            let hanging = stage_fn(async |_cx: StageCx, _n: Arc<u64>| -> Result<u64, Stop> {
                let _last_words = PanicsOnDrop("it was dropped");
                std::future::pending().await
            });
            let pipeline = hurried(hanging, placement);
            let run = engine.run(&pipeline, 1, RunOptions::new());
            let report = with_time_running(run).await;
            assert_eq!(report.outcome(), Outcome::Failed);
            assert!(engine.slots().is_idle(), "{placement:?}");
        }
    });
}

#[test]
fn a_thread_that_blocks_has_its_units_until_it_is_done() {
    on_each_runtime(|_| async {
        let engine = undisturbed().pool("gpu", units(2)).build();
        let gate = Gate::new();
        let _open = OpenInTheEnd(&gate);
        let door = gate.clone();
        let blocking = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let door = door.clone();
            async move {
                door.hold_thread();
                Ok::<_, Stop>(*n)
            }
        });
        let pipeline = needy(blocking, Placement::Blocking);
        let mut run = Box::pin(engine.run(&pipeline, 1, RunOptions::new()));
        let handle = run.handle();
        assert!(futures_util::poll!(&mut run).is_pending());
        gate.crowd(1).await;
        handle.cancel("enough");
        assert!(futures_util::poll!(&mut run).is_pending());
        assert_eq!(
            level(&engine, "gpu"),
            (2, 0),
            "told to stop, and still there"
        );
        // Nor does it give them up because nobody waits for it any more.
        drop(run);
        assert_eq!(level(&engine, "gpu"), (2, 0), "dropped, and still there");
        gate.open();
        engine.settled().await;
        eventually("the units are back", || level(&engine, "gpu") == (0, 0)).await;
    });
}

#[test]
fn a_run_that_is_dropped_gives_everything_back() {
    on_each_runtime(|_| async {
        let engine = undisturbed().pool("gpu", units(2)).build();
        for placement in [Placement::Inline, Placement::Spawn] {
            let pipeline = needy(script::hang(), placement);
            let mut run = Box::pin(engine.run(&pipeline, 1, RunOptions::new()));
            assert!(futures_util::poll!(&mut run).is_pending());
            assert_eq!(level(&engine, "gpu"), (2, 0));
            drop(run);
            engine.settled().await;
            assert_eq!(level(&engine, "gpu"), (0, 0), "{placement:?}");
        }
        let pipeline = needy(script::ok(1), Placement::Inline);
        drop(engine.run(&pipeline, 1, RunOptions::new()));
        assert!(
            engine.slots().is_idle(),
            "a run that was never polled has nothing"
        );
    });
}

#[test]
fn a_context_that_outlives_its_run_holds_nothing() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(2)).build();
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let sent = send.send(cx);
            async move { sent.map(|()| *n).map_err(Stop::fail) }
        });
        let pipeline = needy(stage, Placement::Inline);
        engine
            .run(&pipeline, 1, RunOptions::new())
            .await
            .output()
            .unwrap();
        let cx = receive.recv().await.unwrap();
        assert!(engine.slots().is_idle());
        cx.lend(std::future::ready(())).await;
        assert!(engine.slots().is_idle(), "nor does it take anything back");
    });
}

#[test]
fn two_stages_of_a_run_take_turns() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(3)).build();
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p
            .stage("a", script::ok(1_u64).taking(5.millis()))
            .pool("gpu", units(2))
            .after(n);
        let b = p
            .stage("b", script::ok(2_u64))
            .pool("gpu", units(2))
            .after(n);
        let c = p
            .stage("c", script::ok(3_u64))
            .pool("gpu", units(3))
            .after((a, b));
        let pipeline = p.output(c).build().unwrap();
        let (one, two) = join(
            engine.run(&pipeline, 1, RunOptions::new()),
            engine.run(&pipeline, 1, RunOptions::new()),
        )
        .await;
        assert!(one.is_success() && two.is_success());
        assert!(engine.slots().is_idle());
    });
}
