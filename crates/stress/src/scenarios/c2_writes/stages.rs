//! Fifty stages beside each other, each with a value and a record of its own.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stageflow::context::OutputBag;
use stageflow::executor::RunReport;
use stageflow::prelude::*;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use super::bag::WRITERS;
use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Op, Runtime, Seed};

/// How often the stages of a run were called.
type Calls = Arc<AtomicU64>;

struct Job {
    seed: Seed,
    calls: Calls,
    /// Whether the stages give way, so that the last one to end is another one each time.
    waits: bool,
}

impl Job {
    /// How often a writer gives way. One of them is far slower than the others: a join that does not wait for its last
    /// writer would start without it.
    fn turns(&self, writer: usize) -> u64 {
        let slow = value(self.seed, WRITERS) as usize % WRITERS;
        match writer {
            _ if !self.waits => 0,
            writer if writer == slow => 8,
            writer => value(self.seed, writer) % 3,
        }
    }
}

fn value(seed: Seed, writer: usize) -> u64 {
    seed.child(writer as u64).get()
}

fn fifty(spawned: bool) -> Result<Pipeline<Job, Vec<u64>>, LabError> {
    let mut p = Pipeline::builder("fifty");
    let job = p.input::<Job>();
    let mut writers = Vec::with_capacity(WRITERS);
    for writer in 0..WRITERS {
        let stage = stage_fn(move |cx: StageCx, job: Arc<Job>| async move {
            job.calls.fetch_add(1, Ordering::SeqCst);
            let value = value(job.seed, writer);
            for _ in 0..job.turns(writer) {
                yield_now().await;
            }
            cx.record(cx.stage().as_str(), value)?;
            Ok::<_, Stop>(value)
        });
        let stage = p.stage(format!("writer-{writer}"), stage);
        let stage = if spawned { stage.spawn() } else { stage };
        writers.push(stage.after(job));
    }
    let join = stage_fn(async |_cx: StageCx, values: Vec<Arc<u64>>| {
        Ok::<_, Stop>(values.iter().map(|value| **value).collect::<Vec<u64>>())
    });
    let join = p.stage("join", join).after(writers);
    p.output(join).build().map_err(LabError::new)
}

/// Ten runs at a time, in place and on other workers.
pub(super) fn fan(lab: &mut Lab) -> Result<(), LabError> {
    for (runtime, spawned, groups) in [
        (Runtime::Ct, false, 400),
        (Runtime::Mt2, true, 20),
        (Runtime::Mt4N, true, 20),
    ] {
        let (engine, pipeline) = (lab.engine().build(), fifty(spawned)?);
        let (witness, seed) = (lab.witness(), lab.seed().named("fan"));
        let groups = lab.scaled(groups);
        let done = lab.on(runtime, async {
            for group in 0..groups {
                if witness.has_seen_enough() {
                    return group;
                }
                let runs = (0..10).map(|run| {
                    let (seed, calls) = (seed.child(group * 10 + run), Calls::default());
                    let job = Job {
                        seed,
                        calls: Arc::clone(&calls),
                        waits: run % 2 == 0,
                    };
                    let (engine, pipeline, witness) = (&engine, &pipeline, &witness);
                    async move {
                        let report = engine.run(pipeline, job, RunOptions::new()).await;
                        check(witness, &report, seed, &calls);
                    }
                });
                futures_util::future::join_all(runs).await;
            }
            groups
        })?;
        lab.count_trials(done * 10);
    }
    Ok(())
}

fn check(witness: &Witness, report: &RunReport<Vec<u64>>, seed: Seed, calls: &Calls) {
    let calls = calls.load(Ordering::SeqCst);
    witness.check(
        calls == WRITERS as u64,
        "each of fifty stages runs once",
        Breach::Duplicated,
        || format!("{calls} calls"),
    );
    let expected: Vec<u64> = (0..WRITERS).map(|writer| value(seed, writer)).collect();
    let output = report.output();
    witness.check(
        output.as_ref().is_ok_and(|output| **output == expected),
        "the join has every value, in the order of declaration",
        Breach::Lost,
        || format!("{output:?}, expected {expected:?}"),
    );
    let recorded = report.recorded();
    let exact = recorded.is_some_and(|view| {
        view.len() == WRITERS
            && (0..WRITERS).all(|writer| {
                let name = format!("writer-{writer}");
                view.entry(&name).is_some_and(|entry| {
                    entry.writer() == name
                        && entry.attempt() == NonZeroU32::MIN
                        && entry
                            .get::<u64>()
                            .is_ok_and(|value| *value == expected[writer])
                })
            })
    });
    witness.check(
        exact,
        "the report has every record, with its writer",
        Breach::Lost,
        || format!("{recorded:?}"),
    );
    check_order(witness, report);
}

fn check_order(witness: &Witness, report: &RunReport<Vec<u64>>) {
    let (id, started) = (
        report.id(),
        report.stage("join").and_then(|join| join.started()),
    );
    let last = report
        .stages()
        .take(WRITERS)
        .map(|stage| stage.ended())
        .max()
        .flatten();
    witness.check(
        started >= last,
        "a join starts after its last writer",
        Breach::BrokenOrder,
        || format!("{id}: the join at {started:?}, its last writer ended at {last:?}"),
    );
}

/// Fifty stages ten times, and five hundred writes into a bag.
pub(super) fn measure(lab: &mut Lab) -> Result<(), LabError> {
    let (engine, pipeline, seed) = (lab.engine().build(), fifty(false)?, lab.seed());
    let samples = lab.on(Runtime::Ct, async move {
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (mut fans, mut writes) = (Vec::new(), Vec::new());
            let keys: Vec<String> = (0..500).map(|key| format!("writer-{key}")).collect();
            for _ in 0..300 {
                let started = Instant::now();
                for run in 0..10 {
                    let job = Job {
                        seed: seed.child(run),
                        calls: Calls::default(),
                        waits: false,
                    };
                    drop(engine.run(&pipeline, job, RunOptions::new()).await);
                }
                fans.push(started.elapsed().as_secs_f64() * 1e3);
                let (bag, started) = (OutputBag::new(), Instant::now());
                let taken = keys
                    .iter()
                    .filter(|key| bag.put(key, key, NonZeroU32::MIN, 1_u64).is_ok());
                let taken = taken.count();
                writes.push(started.elapsed().as_secs_f64() * 1e3);
                if taken != keys.len() {
                    return None;
                }
            }
            Some((fans, writes))
        });
        task.join_next().await
    })?;
    let Some(Ok(Some((fans, writes)))) = samples else {
        return Err(LabError::new(
            "the task that measures was lost, or a bag refused a new key",
        ));
    };
    lab.samples("total_ms", "ms", fans);
    lab.samples("writes_500_ms", "ms", writes);
    // 359 ms before.
    lab.gate("total_ms", Op::AtMost, 1.0);
    lab.gate("writes_500_ms", Op::AtMost, 0.2);
    Ok(())
}
