//! Eight threads that may block, and hundreds of stages that do.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::prelude::*;
use stageflow_testkit::Probe;
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

use super::child::{Told, modest};
use crate::LabError;
use crate::harness::process::status;

const THREADS: usize = 8;
const WORKERS: usize = 2;
const RUNS: u64 = 200;
const STAGES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);
/// A control need not be waited for that long.
const IMPATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run_out(fault: &str) -> Result<Told, LabError> {
    let tokio = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .map_err(LabError::new)?;
    let holds = fault == "held-threads";
    let patience = if holds { IMPATIENCE } else { PATIENCE };
    let told = tokio.block_on(async {
        let told = timeout(patience, crowd(holds)).await;
        told.unwrap_or_else(|_| {
            Ok(Told {
                hung: true,
                ..Told::default()
            })
        })
    });
    // Threads that hang are not waited for.
    tokio.shutdown_background();
    told
}

async fn crowd(holds: bool) -> Result<Told, LabError> {
    let probe = Probe::new();
    let barrier = holds.then(|| Arc::new(Barrier::new(2 * THREADS)));
    let (block, modest) = (blocking(&probe, barrier.as_ref())?, modest()?);
    let engine = Engine::new();
    let hard = (0..RUNS).map(|n| engine.run(&block, n, RunOptions::new()));
    let easy = (0..RUNS).map(|n| engine.run(&modest, n, RunOptions::new()));
    let (hard, easy) = futures_util::future::join(join_all(hard), join_all(easy)).await;
    let mut told = Told::default();
    for (n, (hard, easy)) in hard.iter().zip(&easy).enumerate() {
        told.modest(hard, &(n as u64 + STAGES as u64));
        told.modest(easy, &(n as u64 + 5));
    }
    // The pool, the workers, and the one that waits for them.
    let most = THREADS + WORKERS + 1;
    told.left_behind = status("Threads").unwrap_or(0).saturating_sub(most as u64)
        + probe.peak().saturating_sub(THREADS) as u64
        + probe.live() as u64
        + engine.live_tasks() as u64;
    let began = Instant::now();
    let report = engine.run(&block, 1, RunOptions::new()).await;
    told.recovered = report.output().ok() == Some(&(1 + STAGES as u64));
    told.recovery_ms = began.elapsed().as_secs_f64() * 1e3;
    Ok(told)
}

/// A chain of stages that hold their threads for a little while.
fn blocking(probe: &Probe, barrier: Option<&Arc<Barrier>>) -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("blocking");
    let mut last = p.input::<u64>();
    for index in 0..STAGES {
        let (probe, barrier) = (probe.clone(), barrier.cloned());
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let (probe, barrier) = (probe.clone(), barrier.clone());
            async move {
                let live = probe.enter();
                if let Some(barrier) = barrier {
                    barrier.wait();
                }
                (0..20_000_u64).for_each(|i| {
                    std::hint::black_box(i);
                });
                live.done();
                Ok(*n + 1)
            }
        });
        last = p
            .stage(format!("block{index}"), stage)
            .blocking()
            .after(last);
    }
    p.output(last).build().map_err(LabError::new)
}
