//! What an overloaded sink does to the pipeline beside it, and to the process around it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow::events::{BoundedSink, Entry, EventSink as _, ExportError, Exporter, Stopping};
use stageflow::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::rate::Producer;
use crate::harness::load::Schedule;
use crate::harness::process::resident;
use crate::stats::quantile;
use crate::{Lab, LabError, Op, Runtime};

const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

const STAGES: usize = 10;

/// Rounds, each with as many runs with a sink as without one; runs of either kind in a round.
const ROUNDS: usize = 30;
const RUNS: usize = 60;

/// How much a full sink may add to the process.
const GROWTH: f64 = 8.0 * 1_048_576.0;

/// Takes two milliseconds for an event: half of what is sent to it, without the pipeline.
struct Slow;

#[async_trait]
impl Exporter for Slow {
    async fn export(&mut self, _entries: &[Entry]) -> Result<(), ExportError> {
        sleep(Duration::from_millis(2)).await;
        Ok(())
    }
}

/// Never comes back.
struct Stuck;

#[async_trait]
impl Exporter for Stuck {
    async fn export(&mut self, _entries: &[Entry]) -> Result<(), ExportError> {
        std::future::pending().await
    }
}

/// Runs beside a sink that is offered too much, and by themselves, in turns: the machine's moods meet both alike.
pub(super) fn pipeline(lab: &mut Lab) -> Result<(), LabError> {
    let pipeline = chain()?;
    let (bare, builder) = (lab.engine().build(), lab.engine());
    let sink = || {
        BoundedSink::builder(Slow)
            .capacity(CAPACITY)
            .batch(NonZeroUsize::MIN)
    };
    let (p50, p99) = lab.on(Runtime::Mt2, async {
        let overloaded = sink().start();
        let engine = builder.events(overloaded.clone()).build();
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        // The first round warms up.
        for round in 0..=ROUNDS {
            let mut others = JoinSet::new();
            others.spawn(load(overloaded.clone()));
            let with = loops(&engine, &pipeline).await;
            others.shutdown().await;
            let without = loops(&bare, &pipeline).await;
            if round > 0 {
                p50.push(quantile(&with, 0.5) / quantile(&without, 0.5));
                p99.push(quantile(&with, 0.99) / quantile(&without, 0.99));
            }
        }
        overloaded
            .stop(Stopping::Discard, Duration::from_secs(1))
            .await;
        (p50, p99)
    })?;
    lab.samples("pipeline_p50_ratio", "ratio", p50);
    lab.gate("pipeline_p50_ratio", Op::AtMost, 1.05);
    lab.samples("pipeline_p99_ratio", "ratio", p99);
    lab.gate("pipeline_p99_ratio", Op::AtMost, 1.25);
    Ok(())
}

/// A thousand events a second, for longer than a round.
async fn load(sink: BoundedSink) {
    let mut producer = Producer::new(0, true);
    Schedule::steady(1000, Duration::from_secs(10))
        .play(|_| {
            let _either = sink.try_emit(producer.one());
        })
        .await;
}

/// How long each of a few runs takes.
async fn loops(engine: &Engine, pipeline: &Pipeline<u64, u64>) -> Vec<f64> {
    let mut taken = Vec::with_capacity(RUNS);
    for run in 0..RUNS {
        let before = Instant::now();
        drop(engine.run(pipeline, run as u64, RunOptions::new()).await);
        taken.push(before.elapsed().as_secs_f64());
    }
    taken
}

/// Stages with some tens of microseconds of work, that say something.
fn chain() -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("beside");
    let mut last = p.input::<u64>();
    for index in 0..STAGES {
        let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.try_emit("beside.said", json!(*n))?;
            Ok::<_, Stop>(work(*n))
        });
        last = p.stage(format!("s{index}"), stage).after(last);
    }
    p.output(last).build().map_err(LabError::new)
}

/// Some tens of microseconds.
fn work(seed: u64) -> u64 {
    (0..20_000).fold(seed, |sum, n| std::hint::black_box(sum.rotate_left(5) ^ n))
}

/// A flood of three hundred thousand events before a downstream that takes none: what is held stays what fits.
pub(super) fn memory(lab: &mut Lab) -> Result<(), LabError> {
    const EVENTS: usize = 300_000;
    let grown = lab.on(Runtime::Ct, async {
        let sink = BoundedSink::builder(Stuck).capacity(CAPACITY).start();
        let mut producer = Producer::new(0, true);
        let before = resident()?;
        for event in 0..EVENTS {
            let _either = sink.try_emit(producer.one());
            if event % 1000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let grown = resident()? - before;
        sink.stop(Stopping::Discard, Duration::from_millis(10))
            .await;
        Ok::<_, LabError>(grown)
    })??;
    lab.metric("rss_delta_bytes", "bytes", grown);
    lab.law("rss_delta_bytes", Op::AtMost, GROWTH);
    Ok(())
}
