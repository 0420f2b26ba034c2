//! Where stages run: in the run's task, in tasks of their own, on threads that may block.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::ThreadId;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, Probe, TestRuntime, script};
use tokio::task::Id;

use crate::support::{Lab, OpenInTheEnd, PLACEMENTS, placed, watched};

/// Which thread and which task a stage is in.
type Whereabouts = (ThreadId, Option<Id>);

async fn whereabouts(_cx: StageCx, _: Arc<u64>) -> Result<Whereabouts, Stop> {
    tokio::task::yield_now().await;
    Ok((std::thread::current().id(), tokio::task::try_id()))
}

#[test]
fn a_stage_is_where_it_was_placed() {
    TestRuntime::running(Flavour::CurrentThread).block_on(async {
        let here: Whereabouts = (std::thread::current().id(), tokio::task::try_id());
        for default in [
            Placement::Inherit,
            Placement::Inline,
            Placement::Spawn,
            Placement::Blocking,
        ] {
            let lab = Lab::with(|builder| builder.placement(default));
            let mut p = Pipeline::builder("places");
            let n = p.input::<u64>();
            let inherit = p.stage("inherit", stage_fn(whereabouts)).after(n);
            let inline = p.stage("inline", stage_fn(whereabouts)).inline().after(n);
            let spawned = p.stage("spawn", stage_fn(whereabouts)).spawn().after(n);
            let blocking = p
                .stage("blocking", stage_fn(whereabouts))
                .blocking()
                .after(n);
            let all = stage_fn(async |_cx, all: Vec<Arc<Whereabouts>>| Ok(all.len()));
            let all = p
                .stage("all", all)
                .inline()
                .after(vec![inherit, inline, spawned, blocking]);
            let pipeline = p.output(all).build().unwrap();
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            let place_of = |handle| {
                let at = *report.value(handle).unwrap();
                match at {
                    _ if at == here => Placement::Inline,
                    (thread, Some(_)) if thread == here.0 => Placement::Spawn,
                    _ => Placement::Blocking,
                }
            };
            assert_eq!(place_of(inline), Placement::Inline);
            assert_eq!(place_of(spawned), Placement::Spawn);
            assert_eq!(place_of(blocking), Placement::Blocking);
            let expected = if default == Placement::Inherit {
                Placement::Inline
            } else {
                default
            };
            assert_eq!(place_of(inherit), expected, "the engine's default");
            lab.assert_nothing_left().await;
        }
    });
}

#[tokio::test]
async fn a_run_has_the_same_result_wherever_its_stages_are() {
    let mut results = Vec::new();
    for placement in PLACEMENTS {
        let lab = Lab::new();
        let mut p = Pipeline::builder("chain");
        let mut at = p.input::<u64>();
        for i in 0..20 {
            let step = watched(&lab.probe, move |_cx, n: Arc<u64>| async move {
                if i % 3 == 0 {
                    tokio::task::yield_now().await;
                }
                Ok(*n * 3 + i)
            });
            at = placed(p.stage(format!("s{i}"), step), placement).after(at);
        }
        let pipeline = p.output(at).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        results.push(*report.output().unwrap());
        lab.assert_nothing_left().await;
    }
    assert_eq!(results, vec![results[0]; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_stage_starts_the_moment_its_last_dependency_ends() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("no-barrier");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::ok::<Arc<u64>, u64>(1).taking(10.millis()))
        .after(n);
    let c = p
        .stage("c", script::ok::<Arc<u64>, u64>(1).taking(100.millis()))
        .after(n);
    let b = p
        .stage("b", script::ok::<Arc<u64>, u64>(1).taking(10.millis()))
        .after(a);
    let d = p
        .stage("d", script::ok::<(Arc<u64>, Arc<u64>), u64>(1))
        .after((b, c));
    let pipeline = p.output(d).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let started = |name| report.stage(name).unwrap().started().unwrap();
    assert_eq!((started("b"), started("d")), (10.millis(), 100.millis()));
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn stages_that_are_ready_at_the_same_moment_start_in_the_order_of_declaration() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("order");
    let n = p.input::<u64>();
    let mut all = Vec::new();
    for name in ["zebra", "ape", "mole", "bee"] {
        all.push(
            p.stage(name, script::ok::<Arc<u64>, u64>(1).yielding(1))
                .after(n),
        );
    }
    let join = p
        .stage(
            "join",
            stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
        )
        .after(all);
    let pipeline = p.output(join).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let said = lab.assert_nothing_left().await;
    assert_eq!(
        said[1..5],
        [
            "zebra started 1",
            "ape started 1",
            "mole started 1",
            "bee started 1"
        ]
    );
}

#[tokio::test]
async fn no_more_stages_run_at_a_time_than_a_run_may_have() {
    for placement in PLACEMENTS {
        for limit in [1, 3, 100] {
            let limit = NonZeroUsize::new(limit).unwrap();
            let lab =
                Lab::with(|builder| builder.concurrency(NonZeroUsize::MIN).placement(placement));
            let probe = Probe::new();
            let mut p = Pipeline::builder("width");
            let n = p.input::<u64>();
            let all = (0..10).map(|i| {
                let stage = script::ok::<Arc<u64>, u64>(i)
                    .yielding(3)
                    .watched_by(&probe);
                p.stage(format!("s{i}"), stage).after(n)
            });
            let all: Vec<_> = all.collect();
            let join = p
                .stage(
                    "join",
                    stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
                )
                .after(all);
            let pipeline = p.output(join).build().unwrap();
            let report = lab
                .engine
                .run(&pipeline, 1, RunOptions::new().concurrency(limit))
                .await;
            assert_eq!(report.output().unwrap(), &10);
            assert!(
                probe.peak() <= limit.get(),
                "{placement:?}: {} of {limit}",
                probe.peak()
            );
            if placement == Placement::Inline {
                assert_eq!(probe.peak(), limit.get().min(10), "and no fewer than could");
            }
            lab.assert_nothing_left().await;
        }
    }
}

#[test]
fn spawned_stages_use_several_threads_at_the_same_time() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        let lab = Lab::new();
        let gate = Gate::new();
        let _gate = OpenInTheEnd(&gate);
        let mut p = Pipeline::builder("parallel");
        let n = p.input::<u64>();
        // Each holds its thread until the other one lets it go: on one thread this would hang.
        let holds = script::ok::<Arc<u64>, u64>(1).holding_thread_until(&gate);
        let opens = gate.clone();
        let open = watched(&lab.probe, move |_cx, n: Arc<u64>| {
            let opens = opens.clone();
            async move {
                opens.crowd(1).await;
                opens.open();
                Ok(*n)
            }
        });
        let a = p.stage("holds", holds).spawn().after(n);
        let b = p.stage("opens", open).spawn().after(n);
        let c = p
            .stage("join", script::ok::<(Arc<u64>, Arc<u64>), u64>(1))
            .after((a, b));
        let pipeline = p.output(c).build().unwrap();
        assert!(
            lab.engine
                .run(&pipeline, 1, RunOptions::new())
                .await
                .is_success()
        );
        lab.assert_nothing_left().await;
    });
}
