//! Many runs on several threads: no unit too many, and no wake that is lost.

use std::sync::Arc;

use futures_util::future::{join_all, select};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::on_each_runtime;

use super::{Ledger, many, units};
use crate::support::{eventually, placed, undisturbed};

/// A stage that takes these units, and gives the others a chance now and then.
fn restless(ledger: &Ledger, uses: u64) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let ledger = ledger.clone();
    stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let ledger = ledger.clone();
        async move {
            let taken = ledger.take(uses);
            tokio::task::yield_now().await;
            drop(taken);
            if n.is_multiple_of(3) {
                cx.lend(tokio::task::yield_now()).await;
            }
            let _taken = ledger.take(uses);
            match *n % 10 {
                7 => Err(Stop::fail("it was to fail")),
                8 => std::panic::resume_unwind(Box::new("it was to panic")),
                _ => Ok(*n),
            }
        }
    })
}

#[test]
fn many_runs_on_several_threads_share_what_there_is() {
    on_each_runtime(|_| async {
        let engine = undisturbed().slots(many(5)).pool("gpu", units(4)).build();
        let (gpu, own) = <(Ledger, Ledger)>::default();
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = placed(p.stage("a", restless(&gpu, 1)), Placement::Spawn);
        let a = a.pool("gpu", units(1)).after(n);
        let b = placed(p.stage("b", restless(&gpu, 3)), Placement::Spawn);
        let b = b.pool("gpu", units(3)).after(n);
        let c = placed(p.stage("c", restless(&own, 1)), Placement::Spawn)
            .limit(many(2))
            .after(n);
        let all = p.stage(
            "all",
            stage_fn(async |_cx, v: (Arc<u64>, Arc<u64>, Arc<u64>)| Ok(*v.0)),
        );
        let all = all.after((a, b, c));
        let pipeline = p.output(all).build().unwrap();
        let one = async |n: u64| {
            let priority = [Priority::LOW, Priority::NORMAL, Priority::HIGH][n as usize % 3];
            let run = engine.run(&pipeline, n, RunOptions::new().priority(priority));
            let handle = run.handle();
            match n % 7 {
                // Dropped early, cancelled early, or left alone.
                5 => drop(select(run, Box::pin(tokio::task::yield_now())).await),
                6 => {
                    let cancel = async {
                        tokio::task::yield_now().await;
                        handle.cancel("enough");
                    };
                    futures_util::join!(run, cancel);
                }
                _ => {
                    let wanted = !matches!(n % 10, 7 | 8);
                    assert_eq!(run.await.is_success(), wanted, "{n}");
                }
            }
        };
        for first in (0..600).step_by(60) {
            join_all((first..first + 60).map(one)).await;
        }
        engine.settled().await;
        assert!(
            gpu.peak() <= 4 && own.peak() <= 2,
            "{} {}",
            gpu.peak(),
            own.peak()
        );
        assert_eq!((gpu.now(), own.now()), (0, 0));
        eventually("everything is back", || engine.slots().is_idle()).await;
    });
}
