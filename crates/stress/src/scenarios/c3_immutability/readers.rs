//! Sixty-four stages read what others have copies of and change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use stageflow::context::{ContextSnapshot, Message, SeededIds};
use stageflow::prelude::*;
use tokio::task::yield_now;

use super::cargo::Cargo;
use crate::harness::witness::Witness;
use crate::scenarios::d1_snapshots::model::Model;
use crate::scenarios::d1_snapshots::ops::{Op, Twin};
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError, Runtime, Trial};

const READERS: usize = 64;
const CHANGERS: usize = 8;
const LOOKS: usize = 8;

/// What a run is about: its cargo, and the hashes that must stay as they are.
struct Job {
    cargo: Cargo,
    hash: u64,
    digest: String,
}

impl Job {
    /// The same, in other places.
    fn again(&self) -> Self {
        Self {
            cargo: self.cargo.copy(false),
            hash: self.hash,
            digest: self.digest.clone(),
        }
    }
}

#[derive(Default)]
struct Counts {
    checks: AtomicU64,
    changes: AtomicU64,
    attempts: AtomicU64,
    turns: AtomicU64,
}

#[derive(Clone)]
struct Watch {
    witness: Witness,
    counts: Arc<Counts>,
}

impl Watch {
    fn strikes(&self, name: &str, every: u64) -> bool {
        self.witness.is_broken(name)
            && self.counts.turns.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    /// Looks at everything a stage can see.
    fn look(&self, cx: &StageCx, job: &Job) -> Result<(), Stop> {
        let snapshot = if self.strikes("stale-snapshot", 5000) {
            cx.snapshot().with_input_text("another")
        } else {
            cx.snapshot().clone()
        };
        let (digest, hash) = (snapshot.digest()?, job.cargo.hash());
        self.counts.checks.fetch_add(2, Ordering::Relaxed);
        let same = digest == job.digest && hash == job.hash;
        self.counts
            .changes
            .fetch_add(u64::from(!same), Ordering::Relaxed);
        self.witness.check(
            same,
            "what many read is what it was",
            Breach::Leaked,
            || {
                format!(
                    "{}: snapshot {digest} (was {}), value {hash:x} (was {:x})",
                    cx.stage(),
                    job.digest,
                    job.hash
                )
            },
        );
        Ok(())
    }

    /// Makes copies of its own and changes them in every way.
    fn change(&self, cx: &StageCx, job: &Job) -> Result<u64, Stop> {
        let shallow = self.strikes("shallow-copy", 50);
        let mut copy = job.cargo.copy(shallow);
        copy.change(cx.index().as_usize() as u64);
        let own = cx
            .snapshot()
            .with_message(Message::user("mine"))
            .with_topology("mine");
        let own = own.with_metadata("k0", json!({ "of": cx.stage().as_str() }))?;
        self.counts.attempts.fetch_add(4, Ordering::Relaxed);
        let is_own = own.digest()? != job.digest && copy.hash() != job.hash;
        self.witness.check(
            is_own,
            "a copy that was changed is another",
            Breach::WrongStatus,
            || cx.stage().to_string(),
        );
        Ok(copy.hash())
    }
}

/// A layer that does the same around every stage.
struct Meddler(Watch);

impl Hook for Meddler {
    fn name(&self) -> &str {
        "meddler"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let cx = call.cx();
        let own = cx.snapshot().with_execution_mode("the layer's");
        self.0.counts.attempts.fetch_add(1, Ordering::Relaxed);
        let kept = cx.snapshot().execution_mode() != own.execution_mode();
        self.0.witness.check(
            kept,
            "a layer changes nothing for the stage inside",
            Breach::Leaked,
            || cx.stage().to_string(),
        );
        Flow::Continue
    }
}

fn pipeline(watch: &Watch) -> Result<Pipeline<Job, u64>, LabError> {
    let mut p = Pipeline::builder("readers");
    let job = p.input::<Job>();
    let copied = watch.clone();
    let source = stage_fn(move |cx: StageCx, job: Arc<Job>| {
        let watch = copied.clone();
        async move {
            watch.change(&cx, &job)?;
            watch.look(&cx, &job)?;
            Ok::<_, Stop>(job.again())
        }
    });
    let source = p.stage("source", source).after(job);
    let mut all = Vec::with_capacity(READERS + CHANGERS);
    for place in 0..READERS + CHANGERS {
        let watch = watch.clone();
        let stage = stage_fn(move |cx: StageCx, job: Arc<Job>| {
            let watch = watch.clone();
            async move {
                for _ in 0..LOOKS {
                    if place % 9 == 8 {
                        watch.change(&cx, &job)?;
                    } else {
                        watch.look(&cx, &job)?;
                    }
                    yield_now().await;
                }
                Ok::<_, Stop>(job.cargo.hash())
            }
        });
        all.push(
            p.stage(format!("stage-{place}"), stage)
                .spawn()
                .after(source),
        );
    }
    let join = p.stage("join", stage_fn(agree)).after(all);
    p.output(join).build().map_err(LabError::new)
}

async fn agree(_cx: StageCx, hashes: Vec<Arc<u64>>) -> Result<u64, Stop> {
    let first = hashes.first().map_or(0, |hash| **hash);
    if hashes.len() == READERS + CHANGERS && hashes.iter().all(|hash| **hash == first) {
        Ok(first)
    } else {
        Err(Stop::fail(format!("the readers do not agree: {hashes:?}")))
    }
}

pub(super) fn read_and_copy(lab: &mut Lab) -> Result<(), LabError> {
    let watch = Watch {
        witness: lab.witness(),
        counts: Arc::default(),
    };
    let engine = lab.engine().intercept(Meddler(watch.clone())).build();
    let pipeline = pipeline(&watch)?;
    let child = child_pipeline(&watch)?;
    let runs = lab.scaled(100);
    lab.trials(runs, |lab, trial| {
        let (snapshot, job, hash) = job(trial)?;
        let digest = job.digest.clone();
        let nested = job.again();
        let runtime = [Runtime::Mt2, Runtime::Mt4N, Runtime::Ct][trial.index as usize % 3];
        let (report, below) = lab.on(runtime, async {
            // A run on the same snapshot, at the same time, that changes all it can.
            let beside = RunOptions::new().snapshot(snapshot.clone());
            let options = RunOptions::new().snapshot(snapshot.clone());
            tokio::join!(
                engine.run(&pipeline, job, options),
                engine.run(&child, nested, beside)
            )
        })?;
        let after = snapshot.digest().map_err(LabError::new)?;
        lab.check(
            after == digest,
            "a run leaves its snapshot as it was",
            Breach::Leaked,
            || format!("it was {digest}, it is {after}"),
        );
        for (name, output) in [("readers", report.output()), ("beside", below.output())] {
            lab.check(
                output.as_ref().is_ok_and(|output| **output == hash),
                "the readers agree",
                Breach::Leaked,
                || format!("{name}: {output:?}, expected {hash}"),
            );
        }
        Ok(())
    })?;
    let counts = &watch.counts;
    let metric = |name: &str, counter: &AtomicU64| {
        lab.metric(name, "count", counter.load(Ordering::Relaxed) as f64);
    };
    metric("hash_checks", &counts.checks);
    metric("hash_changes", &counts.changes);
    metric("attempts", &counts.attempts);
    Ok(())
}

fn child_pipeline(watch: &Watch) -> Result<Pipeline<Job, u64>, LabError> {
    let watch = watch.clone();
    let mut p = Pipeline::builder("beside");
    let job = p.input::<Job>();
    let stage = stage_fn(move |cx: StageCx, job: Arc<Job>| {
        let watch = watch.clone();
        async move {
            for _ in 0..LOOKS {
                watch.change(&cx, &job)?;
                yield_now().await;
                watch.look(&cx, &job)?;
            }
            Ok::<_, Stop>(job.hash)
        }
    });
    let stage = p.stage("change", stage).after(job);
    p.output(stage).build().map_err(LabError::new)
}

fn job(trial: Trial) -> Result<(ContextSnapshot, Job, u64), LabError> {
    let (ids, mut rng) = (SeededIds::new(trial.seed.get()), trial.seed.rng());
    let identity = full_identity(&ids);
    let mut twin = Twin {
        snapshot: ContextSnapshot::new(identity.clone()),
        model: Model::of(identity),
    };
    for op in Op::ALL {
        twin = twin.apply(op, &ids, &mut rng).map_err(LabError::new)?;
    }
    let cargo = Cargo::new(trial.seed);
    let (hash, digest) = (cargo.hash(), twin.snapshot.digest().map_err(LabError::new)?);
    Ok((
        twin.snapshot,
        Job {
            cargo,
            hash,
            digest,
        },
        hash,
    ))
}
