//! What a loop says that gives up.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{Sample, kind_name};

type Bound = fn(u32) -> Pipeline<u64, u64>;

pub(super) fn samples() -> Vec<Sample> {
    let loops: [(Bound, &[&'static str]); 3] = [
        (
            |rounds| polish(rounds, Duration::MAX, false),
            &["3 rounds", "no round left"],
        ),
        (
            |rounds| polish(rounds, 4.secs(), false),
            &["3 rounds", "within 4s"],
        ),
        (
            |rounds| polish(rounds + 1, Duration::MAX, true),
            &["2 rounds", "the same"],
        ),
    ];
    loops
        .into_iter()
        .map(|(pipeline, facts)| {
            let run = async { Engine::new().run(&pipeline(3), 1, RunOptions::new()).await };
            let report = paused(run);
            let error = report.error().unwrap();
            let kind = kind_name("StageErrorKind", error.kind());
            Sample {
                names: vec!["polish"],
                facts: facts.to_vec(),
                ..Sample::of("StageError", &kind, error.code(), error).help(error.help())
            }
        })
        .collect()
}

/// Goes round in vain, two seconds at a time.
fn polish(rounds: u32, within: Duration, watched: bool) -> Pipeline<u64, u64> {
    let stage = repeat(script::ok::<Arc<u64>, _>(1).taking(1500.millis()))
        .until(|_: &u64| false)
        .at_most(NonZeroU32::new(rounds).unwrap())
        .within(within);
    let stage = if watched {
        stage.stop_when_unchanged()
    } else {
        stage
    };
    let mut p = Pipeline::builder("answer");
    let n = p.input::<u64>();
    let polish = p.stage("polish", stage).after(n);
    p.output(polish).build().unwrap()
}
