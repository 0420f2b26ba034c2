//! Files that may not grow beyond a mebibyte.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, setrlimit};
use stageflow::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::child::{Told, modest};
use crate::LabError;

const CHUNK: usize = 64 << 10;
const LIMIT: u64 = 1 << 20;
/// What Linux sends a process whose file has grown too large.
const SIGXFSZ: i32 = 25;
const MODEST: u64 = 24;
const GREEDY: u64 = 8;

/// A file to write, and in how many chunks.
struct Work {
    path: PathBuf,
    chunks: u64,
    looks: bool,
}

pub(super) fn run_out(fault: &str) -> Result<Told, LabError> {
    let tokio = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::new)?;
    let folder = tempfile::tempdir().map_err(LabError::new)?;
    tokio.block_on(async {
        // Heard, it no longer kills; the write that caused it fails instead.
        let _heard = signal(SignalKind::from_raw(SIGXFSZ)).map_err(LabError::new)?;
        limit(Some(LIMIT))?;
        let told = crowd(&folder, fault != "swallowed-error").await;
        limit(None)?;
        told
    })
}

fn limit(bytes: Option<u64>) -> Result<(), LabError> {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    setrlimit(Resource::Fsize, limit).map_err(LabError::new)
}

async fn crowd(folder: &TempDir, looks: bool) -> Result<Told, LabError> {
    let (write, modest) = (writing()?, modest()?);
    let engine = Engine::new();
    let work = |index: u64, chunks| Work {
        path: folder.path().join(index.to_string()),
        chunks,
        looks,
    };
    let greedy = (0..GREEDY).map(|n| engine.run(&write, work(n, 64), RunOptions::new()));
    let small = (0..MODEST).map(|n| engine.run(&write, work(GREEDY + n, 4), RunOptions::new()));
    let others = (0..MODEST).map(|n| engine.run(&modest, n, RunOptions::new()));
    let (greedy, (small, others)) = futures_util::future::join(
        join_all(greedy),
        futures_util::future::join(join_all(small), join_all(others)),
    )
    .await;
    let mut told = Told::default();
    greedy
        .iter()
        .for_each(|report| told.greedy(report, is_too_large));
    small
        .iter()
        .for_each(|report| told.modest(report, &(4 * CHUNK as u64)));
    for (n, report) in others.iter().enumerate() {
        told.modest(report, &(n as u64 + 5));
    }
    told.left_behind = files(folder);
    let began = Instant::now();
    limit(None)?;
    let report = engine.run(&write, work(0, 64), RunOptions::new()).await;
    told.recovered = report.output().ok() == Some(&(64 * CHUNK as u64));
    told.recovery_ms = began.elapsed().as_secs_f64() * 1e3;
    told.left_behind += files(folder);
    Ok(told)
}

fn files(folder: &TempDir) -> u64 {
    std::fs::read_dir(folder.path()).map_or(0, |files| files.count() as u64)
}

/// Writes a file, says how much of it there is, and removes it whatever happens.
fn writing() -> Result<Pipeline<Work, u64>, LabError> {
    let mut p = Pipeline::builder("writing");
    let work = p.input::<Work>();
    let write = stage_fn(async |cx: StageCx, work: Arc<Work>| {
        let path = work.path.clone();
        cx.on_cleanup("remove the file", move || async move {
            std::fs::remove_file(path)
        });
        let mut file = std::fs::File::create(&work.path)?;
        let chunk = vec![7; CHUNK];
        for _ in 0..work.chunks {
            let written = file.write_all(&chunk);
            if work.looks {
                written?;
            }
        }
        Ok(work.chunks * CHUNK as u64)
    });
    let write = p.stage("write", write).spawn().after(work);
    p.output(write).build().map_err(LabError::new)
}

fn is_too_large(error: &StageError) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| cause.kind() == ErrorKind::FileTooLarge)
}
