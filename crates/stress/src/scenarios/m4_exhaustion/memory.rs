//! A quarter of a gigabyte, and four times as much on offer.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::{Either, join_all};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;
use stageflow::context::{SnapshotError, SnapshotErrorKind, SnapshotLimits};
use stageflow::prelude::*;
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::MEMORY;
use super::child::{Told, modest};
use crate::LabError;

const MEBIBYTE: usize = 1 << 20;
/// Runs that say too much, and how many notes of a mebibyte each says.
const TALKERS: usize = 8;
const NOTES: usize = 128;
/// Runs that read a text that is too long.
const READERS: usize = 8;
const MODEST: usize = 64;

pub(super) fn run_out(fault: &str) -> Result<Told, LabError> {
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    setrlimit(Resource::As, limit).map_err(LabError::new)?;
    let room = match fault {
        "unbounded-sink" => usize::MAX / 2,
        _ => 700,
    };
    let sink = Arc::new(MemorySink::bounded(
        NonZeroUsize::new(room).unwrap_or(NonZeroUsize::MIN),
    ));
    let engine = Engine::builder().events(Arc::clone(&sink)).build();
    let tokio = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::new)?;
    tokio.block_on(crowd(&engine, &sink))
}

/// Talkers, readers and modest runs, all at the same time.
async fn crowd(engine: &Engine, sink: &MemorySink) -> Result<Told, LabError> {
    let (talk, read, modest) = (talkative()?, reading()?, modest()?);
    let talkers = (0..TALKERS).map(|_| engine.run(&talk, (), RunOptions::new()));
    let readers = (0..READERS).map(|_| engine.run(&read, (), RunOptions::new()));
    let others = (0..MODEST).map(|n| engine.run(&modest, n as u64, RunOptions::new()));
    let greedy = talkers.map(Either::Left).chain(readers.map(Either::Right));
    let (greedy, others) = futures_util::future::join(join_all(greedy), join_all(others)).await;
    let mut told = Told {
        offered_bytes: (TALKERS * NOTES * MEBIBYTE) as u64,
        ..Told::default()
    };
    for (index, report) in greedy.iter().enumerate() {
        if index < TALKERS {
            // Their notes are dropped and counted; they themselves finish.
            told.modest(report, &(NOTES as u64));
            told.unaccounted += u64::from(report.events().offered < NOTES as u64);
        } else {
            told.greedy(report, is_too_large);
        }
    }
    for (n, report) in others.iter().enumerate() {
        told.modest(report, &(n as u64 + 5));
    }
    drop((greedy, others));
    let counts = sink.counts();
    told.unaccounted += counts.offered.abs_diff(counts.accepted + counts.dropped);
    let began = Instant::now();
    drop(sink.drain());
    let report = engine.run(&modest, 1, RunOptions::new()).await;
    told.recovered = report.output().ok() == Some(&6) && report.events().dropped == 0;
    told.recovery_ms = began.elapsed().as_secs_f64() * 1e3;
    told.left_behind = engine.live_tasks() as u64;
    Ok(told)
}

/// Says a lot, and keeps one value that cannot be written twice.
fn talkative() -> Result<Pipeline<(), u64>, LabError> {
    let mut p = Pipeline::builder("talkative");
    let nothing = p.input::<()>();
    let talk = stage_fn(async |cx: StageCx, _nothing: Arc<()>| {
        let mut said = 0;
        for _ in 0..NOTES {
            cx.emit("talk.said", Value::String("x".repeat(MEBIBYTE)))
                .await?;
            let kept = cx.record("said", "x".repeat(MEBIBYTE)).is_ok();
            said += u64::from(kept == (said == 0));
            yield_now().await;
        }
        Ok(said)
    });
    let talk = p.stage("talk", talk).after(nothing);
    p.output(talk).build().map_err(LabError::new)
}

/// Reads a snapshot that is larger than it may be.
fn reading() -> Result<Pipeline<(), u64>, LabError> {
    let mut p = Pipeline::builder("reading");
    let nothing = p.input::<()>();
    let read = stage_fn(async |cx: StageCx, _nothing: Arc<()>| {
        let text = cx.snapshot().to_json()?;
        yield_now().await;
        let padded = format!("{text}{}", " ".repeat(4 * MEBIBYTE));
        let limits = SnapshotLimits::new().with_max_bytes(MEBIBYTE);
        let read = ContextSnapshot::from_json_with(&padded, &limits)?;
        Ok(read.metadata().len() as u64)
    });
    let read = p.stage("read", read).after(nothing);
    p.output(read).build().map_err(LabError::new)
}

fn is_too_large(error: &StageError) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<SnapshotError>())
        .is_some_and(|cause| cause.kind() == SnapshotErrorKind::TooLarge)
}
