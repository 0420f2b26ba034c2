//! What a run holds from the door on is given back when it is over, and not before.

use std::sync::Arc;

use stageflow::graph::Placement;
use stageflow::interceptors::Pass;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, paused, script};

use super::{Porter, Token};
use crate::support::{Log, alone, undisturbed};

fn engine(log: &Log) -> Engine {
    let log = log.clone();
    undisturbed()
        .admit(Porter::new("quota", move |_| {
            Ok(Pass::holding(Token(log.clone(), "given back")))
        }))
        .build()
}

#[test]
fn the_pass_is_held_until_the_last_cleanup_has_run_whatever_the_ending() {
    type Ending = fn() -> Result<u64, Stop>;
    let endings: [Ending; 5] = [
        || Ok(1),
        || Err(Stop::fail("no")),
        || Err(Stop::skip("nothing to do")),
        || Err(Stop::cancel("enough")),
        || panic!("what?"),
    ];
    for ending in endings {
        paused(async {
            let log = Log::default();
            let told = log.clone();
            let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
                let told = told.clone();
                cx.on_cleanup("tidy", move || async move { told.write("tidied") });
                async move { ending() }
            });
            let pipeline = alone(stage, Placement::Inherit);
            drop(engine(&log).run(&pipeline, 1, RunOptions::new()).await);
            assert_eq!(log.lines(), ["tidied", "given back"]);
        });
    }
}

#[test]
fn a_run_that_is_dropped_gives_its_pass_back_after_its_cleanups() {
    paused(async {
        let log = Log::default();
        let told = log.clone();
        let gate = Gate::new();
        let (inside, engine) = (gate.clone(), engine(&log));
        let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let told = told.clone();
            let inside = inside.clone();
            cx.on_cleanup("tidy", move || async move { told.write("tidied") });
            async move {
                inside.passed().await;
                Ok::<_, Stop>(*n)
            }
        });
        let pipeline = alone(stage, Placement::Inherit);
        let run = engine.run(&pipeline, 1, RunOptions::new());
        assert!(tokio::time::timeout(1.secs(), run).await.is_err());
        engine.settled().await;
        assert_eq!(log.lines(), ["tidied", "given back"]);
    });
}

#[test]
fn a_budget_that_is_given_at_the_door_is_the_runs() {
    paused(async {
        let org = Budget::new("acme", BudgetLimits::new().steps(1));
        let level = org.clone();
        let engine = undisturbed()
            .admit(Porter::new("quota", move |arrival| {
                arrival.spend_from(level.clone());
                Ok(Pass::free())
            }))
            .build();
        let pipeline = alone(script::ok::<Arc<u64>, u64>(1), Placement::Inherit);
        let first = engine.run(&pipeline, 1, RunOptions::new()).await;
        first.output().unwrap();
        assert_eq!(org.spent().steps, 1);
        let second = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(
            second.outcome(),
            Outcome::Cancelled,
            "there was no step left"
        );
    });
}
