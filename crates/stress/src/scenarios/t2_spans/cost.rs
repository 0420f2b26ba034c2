//! What it costs to tell everything.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow::events::{BoundedSink, Entry, ExportError, Exporter, Stopping};
use stageflow::prelude::*;
use tokio::time::Instant;

use crate::stats::median;
use crate::{Lab, LabError, Op, Runtime};

const STAGES: usize = 5;

/// Of a run: its start and its end, and for each stage those of its attempt and of its call, and two notes.
const EVENTS: usize = 2 + 6 * STAGES;

/// Rounds, each with as many runs that are told as runs that are not.
const ROUNDS: usize = 15;
const RUNS: usize = 50;

/// Room for all events of a round: nothing is dropped, which would be cheaper.
const ROOM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2 * RUNS * EVENTS);

/// Takes everything at once.
struct Taker;

#[async_trait]
impl Exporter for Taker {
    async fn export(&mut self, _entries: &[Entry]) -> Result<(), ExportError> {
        Ok(())
    }
}

/// How long a stage works by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Not at all: what is left is the telling.
    None,
    /// About a hundred microseconds: little, for what calls a model or a database.
    Some,
}

/// Runs that are told to a sink, and runs that nobody listens to, in turns.
pub(super) fn cost(lab: &mut Lab) -> Result<(), LabError> {
    let [idle, busy] = [Work::None, Work::Some].map(|work| in_turns(lab, work));
    let per_event = |(with, without): &(f64, f64)| (with - without) * 1e9 / EVENTS as f64;
    lab.samples("overhead_ns_per_event", "ns", idle?.iter().map(per_event));
    let ratios = busy?;
    let ratios = ratios.iter().map(|(with, without)| without / with);
    lab.samples("throughput_ratio", "ratio", ratios);
    lab.gate("throughput_ratio", Op::AtLeast, 0.95);
    Ok(())
}

/// Of each round, what a run takes with telling and without.
fn in_turns(lab: &Lab, work: Work) -> Result<Vec<(f64, f64)>, LabError> {
    let pipeline = chain(work)?;
    let (told, bare) = (lab.engine(), lab.engine().build());
    let rounds = lab.on(Runtime::Ct, async {
        let sink = BoundedSink::builder(Taker).capacity(ROOM).start();
        let told = told.events(sink.clone()).build();
        let mut rounds = Vec::with_capacity(ROUNDS);
        // The first round warms up.
        for round in 0..=ROUNDS {
            let (mut with, mut without) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                for (engine, taken) in [(&told, &mut with), (&bare, &mut without)] {
                    let before = Instant::now();
                    drop(engine.run(&pipeline, 1, RunOptions::new()).await);
                    // Whoever delivers has a turn, and its time counts.
                    tokio::task::yield_now().await;
                    taken.push(before.elapsed().as_secs_f64());
                }
            }
            if round > 0 {
                rounds.push((median(&with), median(&without)));
            }
        }
        let counts = sink.stop(Stopping::Drain, Duration::from_secs(5)).await;
        (rounds, counts)
    });
    let (rounds, counts) = rounds?;
    let all = ((ROUNDS + 1) * RUNS * EVENTS) as u64;
    lab.check(
        counts.delivered == all,
        "what is measured was told",
        crate::Breach::Lost,
        || format!("{counts:?}, should be {all}"),
    );
    Ok(rounds)
}

/// Five stages that say two things and make a call each.
fn chain(work: Work) -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("cost");
    let mut last = p.input::<u64>();
    for index in 0..STAGES {
        let stage = stage_fn(move |cx, n| step(cx, n, work));
        last = p.stage(format!("s{index}"), stage).after(last);
    }
    p.output(last).build().map_err(LabError::new)
}

async fn step(cx: StageCx, n: Arc<u64>, work: Work) -> Result<u64, Stop> {
    cx.try_emit("cost.said", json!(1))?;
    let call = async |_op| Ok::<_, Stop>(spin(*n, work));
    let n = cx.operation(Operation::tool("tool"), call).await?;
    cx.try_emit("cost.said", json!(2))?;
    Ok(n)
}

fn spin(seed: u64, work: Work) -> u64 {
    let turns = match work {
        Work::None => 0,
        Work::Some => 60_000,
    };
    (0..turns).fold(seed, |sum, n| std::hint::black_box(sum.rotate_left(5) ^ n))
}
