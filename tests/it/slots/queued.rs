//! A stage that is ready and finds no units is not started.

use std::sync::Arc;

use futures_util::future::join;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};
use tokio::time::Instant;

use super::{Ledger, busy, level, many, units};
use crate::support::{Lab, eventually, line, outcomes, undisturbed};

/// One stage, `a`, that needs the one unit there is.
fn needy(stage: impl Stage<Input = Arc<u64>, Output = u64>) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("needy");
    let n = p.input::<u64>();
    let a = p
        .stage("a", stage)
        .pool("gpu", units(1))
        .timeout(50.millis())
        .after(n);
    p.output(a).build().unwrap()
}

#[test]
fn its_limits_do_not_run_and_nothing_is_told() {
    paused(async {
        let lab = Lab::with(|engine| engine.pool("gpu", units(1)));
        let ledger = Ledger::default();
        let pipeline = needy(busy(&ledger, 1, 40));
        let first = lab.engine.run(&pipeline, 1, RunOptions::new());
        let second = async {
            tokio::time::sleep(10.millis()).await;
            let run = lab.engine.run(&pipeline, 2, RunOptions::new());
            let look = async {
                tokio::time::sleep(20.millis()).await;
                assert_eq!(level(&lab.engine, "gpu"), (1, 1));
                lab.sink.all().iter().map(line).collect::<Vec<_>>()
            };
            join(run, look).await
        };
        let (_, (report, told)) = join(first, second).await;
        assert_eq!(told, ["run started", "a started 1", "run started"]);
        // It waited 30 ms and ran for 40: together more than its limit of 50.
        assert_eq!(report.output().unwrap(), &2);
        let stage = report.stage("a").unwrap();
        assert_eq!(stage.started(), Some(30.millis()));
        assert_eq!(stage.duration(), 40.millis());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn it_does_not_hold_up_stages_of_its_run_that_need_nothing() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let ledger = Ledger::default();
        let holder = needy(script::ok(1).taking(45.millis()));
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p
            .stage("a", busy(&ledger, 1, 10))
            .pool("gpu", units(1))
            .after(n);
        let b = p.stage("b", busy(&ledger, 1, 10)).after(n);
        let c = p.stage("c", busy(&ledger, 1, 10)).after(b);
        let all = p.stage(
            "all",
            stage_fn(async |_cx, v: (Arc<u64>, Arc<u64>)| Ok(*v.0 + *v.1)),
        );
        let all = all.after((a, c));
        let pipeline = p.output(all).build().unwrap();
        // The run has room for one stage, and the one that waits does not take it.
        let options = RunOptions::new().concurrency(many(1));
        let (_, report) = join(
            engine.run(&holder, 1, RunOptions::new()),
            engine.run(&pipeline, 1, options),
        )
        .await;
        let started = |name: &str| report.stage(name).unwrap().started();
        assert_eq!(started("b"), Some(0.millis()));
        assert_eq!(started("c"), Some(10.millis()));
        assert_eq!(started("a"), Some(45.millis()));
        assert_eq!(ledger.peak(), 1);
    });
}

#[test]
fn units_that_come_when_the_run_is_full_go_on_to_others() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let ledger = Ledger::default();
        let holder = needy(script::ok(1).taking(10.millis()));
        let other = needy(script::ok(1).taking(5.millis()));
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p
            .stage("a", busy(&ledger, 1, 10))
            .pool("gpu", units(1))
            .after(n);
        let b = p.stage("b", busy(&ledger, 1, 30)).after(n);
        let c = p.stage("c", busy(&ledger, 1, 30)).after(n);
        let all = p.stage(
            "all",
            stage_fn(async |_cx, v: (Arc<u64>, Arc<u64>, Arc<u64>)| Ok(*v.0)),
        );
        let all = all.after((a, b, c));
        let pipeline = p.output(all).build().unwrap();
        let late = async {
            tokio::time::sleep(1.millis()).await;
            engine.run(&other, 1, RunOptions::new()).await
        };
        let options = RunOptions::new().concurrency(many(1));
        let (_, report, late) = futures_util::join!(
            engine.run(&holder, 1, RunOptions::new()),
            engine.run(&pipeline, 1, options),
            late
        );
        // At 10 ms it is the turn of `a`, but `b` runs until 30 ms: the other run has the unit at once.
        assert_eq!(late.duration(), 14.millis());
        // `a` comes before `c`, which has been ready as long.
        assert_eq!(report.stage("a").unwrap().started(), Some(30.millis()));
        assert_eq!(report.stage("c").unwrap().started(), Some(40.millis()));
        assert_eq!(ledger.peak(), 1, "the run never has more than it may");
        assert!(report.is_success() && engine.slots().is_idle());
    });
}

#[test]
fn cancelled_it_was_never_started() {
    paused(async {
        let lab = Lab::with(|engine| engine.pool("gpu", units(1)));
        let gate = Gate::new();
        let holder = needy(script::ok(1).behind(&gate));
        let pipeline = needy(script::ok(2));
        let run = lab.engine.run(&pipeline, 1, RunOptions::new());
        let handle = run.handle();
        let keeper = async {
            gate.crowd(1).await;
            eventually("it waits", || level(&lab.engine, "gpu") == (1, 1)).await;
            let asked = Instant::now();
            handle.cancel("enough");
            eventually("it has left the line", || {
                level(&lab.engine, "gpu") == (1, 0)
            })
            .await;
            assert_eq!(asked.elapsed(), 0.millis(), "at once");
            gate.open();
        };
        let holder = lab.engine.run(&holder, 1, RunOptions::new());
        let (_, report, ()) = futures_util::join!(holder, run, keeper);
        assert_eq!(report.outcome(), Outcome::Cancelled);
        let stage = report.stage("a").unwrap();
        assert_eq!((stage.attempts(), stage.started()), (0, None));
        assert_eq!(outcomes(&report), ["a cancelled"]);
        let told = lab.assert_nothing_left().await;
        assert_eq!(
            told.iter().filter(|line| line.starts_with("a ")).count(),
            2,
            "{told:?}"
        );
    });
}

#[test]
fn the_deadline_covers_the_wait() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let (holder, pipeline) = (
            needy(script::ok(1).taking(40.millis())),
            needy(script::ok(2)),
        );
        let options = RunOptions::new().deadline(15.millis());
        let (_, report) = join(
            engine.run(&holder, 1, RunOptions::new()),
            engine.run(&pipeline, 1, options),
        )
        .await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(report.duration(), 15.millis());
        assert_eq!(report.stage("a").unwrap().attempts(), 0);
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn a_failure_elsewhere_takes_it_out_of_the_line() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let holder = needy(script::ok(1).taking(40.millis()));
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p
            .stage("a", script::ok(1_u64))
            .pool("gpu", units(1))
            .after(n);
        let b = p
            .stage("b", script::fail::<_, u64>("no").taking(5.millis()))
            .after(n);
        let all = p
            .stage(
                "all",
                stage_fn(async |_cx, v: (Arc<u64>, Arc<u64>)| Ok(*v.0)),
            )
            .after((a, b));
        let pipeline = p.output(all).build().unwrap();
        let (_, report) = join(
            engine.run(&holder, 1, RunOptions::new()),
            engine.run(&pipeline, 1, RunOptions::new()),
        )
        .await;
        assert_eq!(report.duration(), 5.millis());
        assert_eq!(
            outcomes(&report),
            ["a cancelled", "b failed", "all cancelled"]
        );
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn a_run_that_is_dropped_leaves_the_line() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let (holder, pipeline) = (
            needy(script::ok(1).taking(40.millis())),
            needy(script::ok(2)),
        );
        let holder = engine.run(&holder, 1, RunOptions::new());
        let dropped = async {
            let run = engine.run(&pipeline, 1, RunOptions::new());
            assert!(tokio::time::timeout(5.millis(), run).await.is_err());
            assert_eq!(level(&engine, "gpu"), (1, 0));
        };
        join(holder, dropped).await;
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn a_run_that_is_dropped_when_its_turn_has_come_passes_it_on() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let (gate, pipeline) = (Gate::new(), needy(script::ok(2)));
        let holder = needy(script::ok(1).behind(&gate));
        let mut holder = Box::pin(engine.run(&holder, 1, RunOptions::new()));
        let mut second = Box::pin(engine.run(&pipeline, 1, RunOptions::new()));
        let mut third = Box::pin(engine.run(&pipeline, 1, RunOptions::new()));
        assert!(futures_util::poll!(&mut holder).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut third).is_pending());
        gate.open();
        assert!(futures_util::poll!(&mut holder).is_ready());
        assert_eq!(
            level(&engine, "gpu"),
            (1, 1),
            "the second one has it, and does not know yet"
        );
        drop(second);
        assert_eq!(level(&engine, "gpu"), (1, 0), "now the third one has it");
        assert!(third.await.is_success());
        assert!(engine.slots().is_idle());
    });
}

#[test]
fn twenty_thousand_that_wait_are_served_in_order() {
    paused(async {
        let engine = undisturbed().pool("gpu", units(1)).build();
        let mut p = Pipeline::builder("wide");
        let n = p.input::<u64>();
        let stages: Vec<_> = (0..20_000)
            .map(|i| {
                let stage = p.stage(format!("s{i}"), busy(&Ledger::default(), 1, 1));
                stage.pool("gpu", units(1)).after(n)
            })
            .collect();
        let last = p.stage(
            "last",
            stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
        );
        let last = last.after(stages);
        let pipeline = p.output(last).build().unwrap();
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &20_000);
        assert_eq!(report.duration(), 20.secs());
        let started: Vec<_> = report.stages().map(|stage| stage.started()).collect();
        assert!(started.is_sorted());
    });
}
