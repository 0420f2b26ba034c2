//! Chains whose stages write down what they saw, and what must be written there afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use stageflow::context::{
    ContextSnapshot, Enrichments, Memory, Message, OrgId, Profile, RunId, RunIdentity, SeededIds,
    UserId,
};
use stageflow::executor::RunReport;
use stageflow::prelude::*;
use tokio::time::Instant;

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Runtime, Trial};

pub(super) const STAGES: usize = 10;

/// What goes along the chain. Each run has its own ledger.
#[derive(Clone)]
struct Step {
    value: u64,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Ledger(Mutex<Vec<Entry>>);

/// One stage, as it saw itself.
struct Entry {
    place: usize,
    value: u64,
    run: RunId,
    digest: Option<String>,
}

impl Ledger {
    fn write(&self, entry: Entry) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
    }

    fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts chances for the breaks that the scenario makes itself.
struct Chances {
    witness: Witness,
    seen: AtomicU64,
}

impl Chances {
    fn strikes(&self, name: &str, every: u64) -> bool {
        self.witness.is_broken(name)
            && self.seen.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }
}

struct Chain {
    pipeline: Pipeline<Step, Step>,
    stages: Vec<Handle<Step>>,
}

/// A chain whose stages say that they ran. With `digests`, they also say what the snapshot held.
fn chain(lab: &Lab, stages: usize, digests: bool) -> Result<Chain, LabError> {
    let chances = Arc::new(Chances {
        witness: lab.witness(),
        seen: AtomicU64::new(0),
    });
    let mut p = Pipeline::builder("chain");
    let mut last = p.input::<Step>();
    let mut handles = Vec::with_capacity(stages);
    for place in 0..stages {
        // The break: what is called `s5` does the work of `s4`, and the other way round.
        let work = match place {
            4 if lab.is_broken("reorder") => 5,
            5 if lab.is_broken("reorder") => 4,
            place => place,
        };
        let chances = Arc::clone(&chances);
        let stage = stage_fn(move |cx: StageCx, step: Arc<Step>| {
            let chances = Arc::clone(&chances);
            async move { add_one(&cx, &step, work, digests, &chances) }
        });
        last = p.stage(format!("s{place}"), stage).after(last);
        handles.push(last);
    }
    let pipeline = p.output(last).build().map_err(LabError::new)?;
    Ok(Chain {
        pipeline,
        stages: handles,
    })
}

fn add_one(
    cx: &StageCx,
    step: &Step,
    place: usize,
    digests: bool,
    chances: &Chances,
) -> Result<Step, Stop> {
    let digest = if !digests {
        None
    } else if chances.strikes("drifting-snapshot", 997) {
        Some(cx.snapshot().with_topology("another").digest()?)
    } else {
        Some(cx.snapshot().digest()?)
    };
    step.ledger.write(Entry {
        place,
        value: step.value,
        run: cx.run_id(),
        digest,
    });
    let twice = chances.strikes("add-twice", 9973);
    Ok(Step {
        value: step.value + 1 + u64::from(twice),
        ledger: Arc::clone(&step.ledger),
    })
}

/// Two hundred runs after twenty to warm up; every stage says what the snapshot holds.
pub(super) fn with_snapshots(lab: &mut Lab) -> Result<(), LabError> {
    let (engine, chain) = (lab.engine().build(), chain(lab, STAGES, true)?);
    let count = lab.scaled(200);
    lab.trials(20 + count, |lab, trial| {
        let snapshot = full_snapshot(trial)?;
        let digest = snapshot.digest().map_err(LabError::new)?;
        let input = trial.seed.get() >> 8;
        let step = Step {
            value: input,
            ledger: Arc::default(),
        };
        let ledger = Arc::clone(&step.ledger);
        let options = RunOptions::new().snapshot(snapshot.clone());
        let (report, wall) = lab.on(Runtime::Ct, async {
            let started = Instant::now();
            let report = engine.run(&chain.pipeline, step, options).await;
            (report, started.elapsed())
        })?;
        let witness = lab.witness();
        let entries = ledger.take();
        check_run(&witness, &chain, &report, &entries, input);
        check_times(&witness, &report, wall);
        for entry in &entries {
            witness.check(
                entry.digest.as_ref() == Some(&digest),
                "the snapshot is the same at every stage",
                Breach::Leaked,
                || {
                    format!(
                        "s{} saw {:?}, the run was given {digest}",
                        entry.place, entry.digest
                    )
                },
            );
        }
        witness.check(
            snapshot.digest().is_ok_and(|after| after == digest),
            "a run leaves its snapshot as it was",
            Breach::Leaked,
            || format!("it was {digest}, it is {:?}", snapshot.digest()),
        );
        Ok(())
    })
}

/// Many more runs, 64 at a time on two workers, without the digests.
pub(super) fn in_volume(lab: &mut Lab) -> Result<(), LabError> {
    let (engine, chain) = (lab.engine().build(), chain(lab, STAGES, false)?);
    let batches = lab.scaled(100);
    let lanes = 64_u64;
    lab.trials(batches, |lab, trial| {
        let witness = lab.witness();
        let work = async {
            let lanes = (0..lanes).map(|lane| {
                let (engine, chain, witness) = (&engine, &chain, &witness);
                async move {
                    for round in 0..20 {
                        let input = trial.seed.child(lane * 64 + round).get() >> 8;
                        let step = Step {
                            value: input,
                            ledger: Arc::default(),
                        };
                        let ledger = Arc::clone(&step.ledger);
                        let report = engine.run(&chain.pipeline, step, RunOptions::new()).await;
                        check_run(witness, chain, &report, &ledger.take(), input);
                        tokio::task::yield_now().await;
                    }
                }
            });
            futures_util::future::join_all(lanes).await;
        };
        let runtime = if trial.index % 2 == 0 {
            Runtime::Ct
        } else {
            Runtime::Mt2
        };
        lab.on(runtime, work)?;
        lab.count_trials(lanes * 20 - 1);
        Ok(())
    })
}

/// Long chains: a thousand stages many times, a hundred thousand once. The thread has the stack of any other.
pub(super) fn deep(lab: &mut Lab) -> Result<(), LabError> {
    let times = lab.scaled(50).min(1000);
    let mut points = Vec::new();
    for (stages, times) in [(1000, times), (10_000, 3), (100_000, 1)] {
        if lab.is_over() {
            return Ok(());
        }
        let (engine, chain) = (lab.engine().build(), chain(lab, stages, false)?);
        let witness = lab.witness();
        let best = lab.on(Runtime::Ct, async {
            let mut best = Duration::MAX;
            for input in 0..times {
                let step = Step {
                    value: input,
                    ledger: Arc::default(),
                };
                let ledger = Arc::clone(&step.ledger);
                let started = Instant::now();
                let report = engine.run(&chain.pipeline, step, RunOptions::new()).await;
                best = best.min(started.elapsed());
                check_run(&witness, &chain, &report, &ledger.take(), input);
            }
            best
        })?;
        lab.count_trials(times);
        points.push([stages as f64, best.as_secs_f64() * 1e9]);
    }
    lab.scaling("chain_ns", "ns", &points);
    Ok(())
}

/// Against what ten additions in a row must be.
fn check_run(
    witness: &Witness,
    chain: &Chain,
    report: &RunReport<Step>,
    entries: &[Entry],
    input: u64,
) {
    let stages = chain.stages.len();
    let places: Vec<usize> = entries.iter().map(|entry| entry.place).collect();
    witness.check(
        entries.iter().map(|entry| entry.place).eq(0..stages),
        "every stage of a chain runs once, in order",
        Breach::BrokenOrder,
        || format!("{stages} stages ran as {places:?}"),
    );
    let values = entries.iter().map(|entry| entry.value);
    witness.check(
        values.eq(input..input + entries.len() as u64),
        "every stage gets what the one before it gave",
        Breach::WrongStatus,
        || {
            format!(
                "from {input}: {:?}",
                entries.iter().map(|entry| entry.value).collect::<Vec<_>>()
            )
        },
    );
    witness.check(
        entries.iter().all(|entry| entry.run == report.id()),
        "every stage knows which run it is in",
        Breach::Leaked,
        || format!("the run is {}", report.id()),
    );
    check_report(witness, chain, report, input);
}

fn check_report(witness: &Witness, chain: &Chain, report: &RunReport<Step>, input: u64) {
    let stages = chain.stages.len();
    let output = report.output().map(|step| step.value);
    witness.check(
        output
            .as_ref()
            .is_ok_and(|output| *output == input + stages as u64),
        "the output is the golden one",
        Breach::WrongStatus,
        || format!("{input} + {stages} gave {output:?}"),
    );
    let handles = chain.stages.iter().zip(0_u64..);
    let sound = report
        .stages()
        .zip(handles)
        .all(|(stage, (handle, place))| {
            let value = report.value(*handle);
            stage.outcome() == Outcome::Succeeded
                && stage.attempts() == 1
                && value.is_some_and(|step| step.value == input + place + 1)
        });
    witness.check(
        sound && report.stages().len() == stages && report.is_success(),
        "the report has every stage as it was",
        Breach::WrongStatus,
        || {
            format!(
                "a run from {input} is {}: {}",
                report.outcome(),
                report.mermaid()
            )
        },
    );
}

fn check_times(witness: &Witness, report: &RunReport<Step>, wall: Duration) {
    let mut before = Duration::ZERO;
    for stage in report.stages() {
        let (started, ended) = (stage.started(), stage.ended());
        witness.check(
            started.is_some_and(|started| started >= before) && ended >= started,
            "no stage starts before the one before it has ended",
            Breach::BrokenOrder,
            || {
                format!(
                    "{}: {started:?} to {ended:?}, the one before it ended at {before:?}",
                    stage.name()
                )
            },
        );
        before = ended.unwrap_or(before);
    }
    let sum: Duration = report.stages().map(|stage| stage.duration()).sum();
    witness.check(
        sum <= report.duration() && report.duration() <= wall,
        "the stages take no longer than the run, and the run no longer than the clock says",
        Breach::WrongStatus,
        || format!("stages {sum:?}, run {:?}, wall {wall:?}", report.duration()),
    );
}

fn full_snapshot(trial: Trial) -> Result<ContextSnapshot, LabError> {
    let ids = SeededIds::new(trial.seed.get());
    let user = UserId::generate(&ids);
    let identity = RunIdentity::new(RunId::generate(&ids))
        .with_user_id(user)
        .with_org_id(OrgId::generate(&ids));
    let known = Enrichments::new()
        .with_profile(Profile::new(user).with_goal("be quick"))
        .with_memory(Memory::new().with_key_fact("ten is ten"));
    ContextSnapshot::new(identity)
        .with_message(Message::user("count to ten"))
        .with_enrichments(known)
        .with_input_text("one")
        .with_metadata(
            "nested",
            json!({ "list": [1, [2, { "three": 3.5 }]], "trial": trial.index }),
        )
        .map_err(LabError::new)
}
