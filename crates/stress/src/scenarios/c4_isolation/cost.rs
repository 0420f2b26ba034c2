//! What a fork costs, and that the payload does not matter.

use std::hint::black_box;

use stageflow::context::{ContextSnapshot, Message, RunId, SeededIds, SystemIds};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Lab, LabError, Op, Runtime};

const FORKS: usize = 64;

/// Ten bytes against ten megabytes, measured in turns: the machine's moods meet both alike.
pub(super) fn flat(lab: &mut Lab) -> Result<(), LabError> {
    if lab.is_over() {
        return Ok(());
    }
    let ids = SeededIds::new(lab.seed().get());
    let small = ContextSnapshot::new(full_identity(&ids)).with_input_text("ten bytes.");
    let large = (0..200).fold(
        small.with_input_text("x".repeat(5_000_000)),
        |snapshot, _| snapshot.with_message(Message::user("y".repeat(25_000))),
    );
    let copies = lab.is_broken("copy-payload");
    let rounds = if copies { 5 } else { 400 };
    let (mut least_small, mut least_large) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        least_small = least_small.min(time(&small, &ids, copies)?);
        least_large = least_large.min(time(&large, &ids, copies)?);
    }
    lab.metric("fork_ns", "ns", least_large);
    lab.metric("fork_large_to_small", "ratio", least_large / least_small);
    lab.law("fork_large_to_small", Op::AtMost, 2.0);
    lab.count_trials(2 * rounds * FORKS as u64);
    Ok(())
}

fn time(snapshot: &ContextSnapshot, ids: &SeededIds, copies: bool) -> Result<f64, LabError> {
    let started = Instant::now();
    for _ in 0..FORKS {
        let child = snapshot
            .identity()
            .child(RunId::generate(ids), "stage")
            .map_err(LabError::new)?;
        let fork = snapshot.fork(child);
        let text = fork.input_text().unwrap_or_default();
        black_box(if copies {
            fork.with_input_text(text)
        } else {
            fork
        });
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / FORKS as f64)
}

/// Three chains of ten, with ids of their own: what took 3 ms before.
pub(super) fn thirty(lab: &mut Lab) -> Result<(), LabError> {
    let root = ContextSnapshot::new(full_identity(&SeededIds::new(lab.seed().get())))
        .with_input_text("text");
    let samples = lab.on(Runtime::Ct, async move {
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut samples = Vec::new();
            for _ in 0..2000 {
                let started = Instant::now();
                for stage in ["one", "two", "three"] {
                    let mut last = root.clone();
                    for _ in 0..10 {
                        let child = last
                            .identity()
                            .child(RunId::generate(&SystemIds::new()), stage)
                            .ok()?;
                        last = last.fork(child);
                    }
                    black_box(&last);
                }
                samples.push(started.elapsed().as_secs_f64() * 1e3);
            }
            Some(samples)
        });
        task.join_next().await
    })?;
    let Some(Ok(Some(samples))) = samples else {
        return Err(LabError::new("the task that measures was lost"));
    };
    lab.samples("forks_30_ms", "ms", samples);
    lab.gate("forks_30_ms", Op::AtMost, 0.01);
    Ok(())
}
