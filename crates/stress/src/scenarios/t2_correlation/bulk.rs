//! A million events of runs that get into each other's way, checked as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use stageflow::context::RunId;
use stageflow::events::{Batch, EventKind, Receipt};
use stageflow::prelude::*;
use tokio::task::{JoinSet, yield_now};

use super::who;
use crate::ledger::events::EventLedger;
use crate::{Breach, Lab, LabError, Runtime, Seed};

const STAGES: usize = 10;
/// Runs that are on their way at the same time.
pub(super) const CROWD: u64 = 100;

/// Compares each note with the run it is said to come from, and hands everything on.
struct Canaries {
    ledger: EventLedger,
    foreign: AtomicU64,
}

impl EventSink for Canaries {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let own = canary(batch.run.identity().run_id());
        for event in &batch.events {
            if let EventKind::Note { note, .. } = event.kind()
                && **note.payload() != own
            {
                self.foreign.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.ledger.try_emit(batch)
    }
}

/// A number that no other run has.
fn canary(run: RunId) -> Value {
    json!(run.as_uuid().as_u64_pair().1)
}

/// A chain of stages that say their run's number and let others have a turn.
fn chain() -> Result<Pipeline<Value, u32>, LabError> {
    let mut p = Pipeline::builder("bulk");
    let own = p.input::<Value>();
    let mut last = p
        .stage("s0", stage_fn(|cx, own: Arc<Value>| step(cx, 0, own)))
        .after(own);
    for index in 1..STAGES {
        let stage =
            stage_fn(move |cx, (own, _before): (Arc<Value>, Arc<u32>)| step(cx, index, own));
        let stage = p.stage(format!("s{index}"), stage);
        last = match index {
            5 => stage.spawn().after((own, last)),
            _ => stage.after((own, last)),
        };
    }
    p.output(last).build().map_err(LabError::new)
}

/// Every other stage ends at its first poll: that is another way through the engine.
async fn step(cx: StageCx, index: usize, own: Arc<Value>) -> Result<u32, Stop> {
    if index % 2 == 1 {
        yield_now().await;
    }
    cx.try_emit("bulk.said", own)?;
    Ok(1)
}

/// Crowd after crowd of runs on one engine; every event of theirs goes through the ledger.
pub(super) fn crowds(
    lab: &mut Lab,
    runtime: Runtime,
    seed: Seed,
    crowds: u64,
) -> Result<u64, LabError> {
    let pipeline = Arc::new(chain()?);
    let ledger = EventLedger::of_plan(pipeline.plan());
    let sink = Arc::new(Canaries {
        ledger: ledger.clone(),
        foreign: AtomicU64::new(0),
    });
    let engine = lab.engine().events(Arc::clone(&sink)).build();
    let stop = lab.is_control();
    let done = lab.on(runtime, async {
        let mut done = 0;
        for crowd in 0..crowds {
            let mut runs = JoinSet::new();
            for index in 0..CROWD {
                let identity = who::nearby(seed, crowd * CROWD + index)?;
                ledger.announce(&identity);
                let (engine, pipeline) = (engine.clone(), Arc::clone(&pipeline));
                runs.spawn(async move {
                    let own = canary(identity.run_id());
                    let options = RunOptions::new().identity(identity);
                    engine.run(&pipeline, own, options).await
                });
            }
            while let Some(report) = runs.join_next().await {
                done += 1;
                ledger.settle(&report.map_err(LabError::new)?);
            }
            if stop && !ledger.is_sound() {
                break;
            }
        }
        Ok::<_, LabError>(done)
    })??;
    Ok(check(lab, &sink, done))
}

/// Nothing wrong, nothing foreign, nothing missing; how many events there were.
fn check(lab: &Lab, sink: &Canaries, done: u64) -> u64 {
    let ledger = &sink.ledger;
    ledger.close();
    ledger.report_to(lab);
    let foreign = sink.foreign.load(Ordering::Relaxed);
    lab.check(
        foreign == 0,
        "what a run says is told of that run",
        Breach::Leaked,
        || format!("{foreign} notes came under another run's name in {done} runs"),
    );
    let sums = ledger.sums();
    let [runs, stages] = [done, done * STAGES as u64];
    let expected = [runs, stages, stages, stages, 0, 0, 0, runs];
    lab.check(
        sums.by_kind[..8] == expected,
        "as many events of each type as there should be",
        Breach::Lost,
        || format!("{:?}, should be {expected:?} in {done} runs", sums.by_kind),
    );
    sums.events
}
