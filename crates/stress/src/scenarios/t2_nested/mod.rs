//! Five million records of runs in runs in runs, on more threads than there are cores, checked run by run as they end.

mod chain;
mod judge;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stageflow::context::{CorrelationId, RunIdentity};
use stageflow::events::{Batch, EventRecord, EventSink, Receipt};
use stageflow::prelude::*;
use tokio::task::JoinSet;

use super::t2_correlation::who;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier};
use chain::{Nest, Slip, Ticket};
use judge::Totals;

/// Runs that are on their way at the same time. No more of them are kept than that.
const CROWD: u64 = 50;

/// All of them, on each runtime.
const CROWDS: u64 = 200;

pub(super) fn scenario() -> Scenario {
    Scenario::new("T2-NESTED", "five million records of runs in runs in runs")
        .proves("whatever thread goes on with a stage, each of millions of records is in the one tree of its cause")
        .theme(Theme::Thu)
        .tier(Tier::Weekly)
        .targets(["OBS-001", "OBS-002", "OBS-003"])
        .modes(["E3", "E4"])
        .expected(Duration::from_secs(90))
        .control(Control::engine("child-inherits-span", "a run inside says that its parent's parent is around it", "ChildInheritsSpan", 20))
        .control(Control::engine("confuses-runs", "events of one run in fifty carry the identity of the first", "ConfuseRuns", 50))
        .control(Control::engine("loses-events", "an event in 10 000 vanishes", "LoseEvent", 10_000))
        .control(Control::own("thread-local", "a stage keeps its context in a thread-local while it waits"))
        .control(Control::own("without-context", "a stage in fifty starts another pipeline as a run of nobody"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let (nest, shelf) = (Nest::new()?, Arc::new(Shelf::default()));
    let engine = lab.engine().events(Arc::clone(&shelf));
    let engine = engine.blocking_threshold(Duration::from_secs(3600)).build();
    let (crowds, mut totals) = (lab.scaled(CROWDS), Totals::default());
    for runtime in lab.runtimes(&[Runtime::Mt4N]) {
        let seed = lab.seed().child(runtime as u64);
        let lab = &*lab;
        lab.on(runtime, async {
            for crowd in 0..crowds {
                let mut runs = JoinSet::new();
                for index in crowd * CROWD..(crowd + 1) * CROWD {
                    let identity = who::nearby(seed, index)?;
                    let ticket = Ticket::new(&identity, &engine, slip(lab, index));
                    runs.spawn(cause(engine.clone(), Arc::clone(&nest), identity, ticket));
                }
                while let Some(identity) = runs.join_next().await {
                    let identity = identity.map_err(LabError::new)?;
                    let records = shelf.take(identity.correlation_id());
                    judge::cause(lab, &records, &identity, &nest, &mut totals);
                }
                if lab.is_over() {
                    break;
                }
            }
            Ok::<_, LabError>(())
        })??;
    }
    lab.count_trials(totals.causes);
    finish(lab, &shelf, &totals);
    Ok(())
}

/// One run, with those inside it.
async fn cause(
    engine: Engine,
    nest: Arc<Nest>,
    identity: RunIdentity,
    ticket: Ticket,
) -> RunIdentity {
    let options = RunOptions::new().identity(identity.clone());
    drop(engine.run(nest.outer(), ticket, options).await);
    identity
}

/// What goes wrong, if this is a control that has it go wrong.
fn slip(lab: &Lab, index: u64) -> Slip {
    match () {
        () if lab.is_broken("thread-local") => Slip::ThreadLocal,
        () if lab.is_broken("without-context") && index % 50 == 7 => Slip::Alone,
        () => Slip::None,
    }
}

/// What is left, and the numbers.
fn finish(lab: &Lab, shelf: &Shelf, totals: &Totals) {
    let left = shelf.len();
    lab.check(
        left == 0 || lab.is_over(),
        "nothing is told of a cause that nobody knows",
        Breach::Leaked,
        || format!("{left} causes"),
    );
    let tally = &totals.tally;
    let missing: u64 = tally.missing.values().sum();
    let share = 100.0 * (1.0 - missing as f64 / tally.records.max(1) as f64);
    for (name, unit, value) in [
        ("records_total", "records", tally.records),
        ("spans", "spans", tally.spans),
        ("missing", "fields", missing),
        ("crossovers", "records", tally.crossovers + left as u64),
        ("orphan_spans", "spans", tally.orphans),
        ("unclosed_spans", "spans", tally.unclosed),
        ("rebuild_mismatches", "runs", tally.rebuild_mismatches),
        ("held_most", "causes", shelf.most() as u64),
    ] {
        lab.metric(name, unit, value as f64);
    }
    lab.metric("coverage_percent", "%", share);
    lab.gate("coverage_percent", Op::AtLeast, 100.0);
}

/// What was told of causes that have not been looked at yet.
#[derive(Default)]
struct Shelf(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    causes: HashMap<CorrelationId, Vec<Batch>>,
    most: usize,
}

impl Shelf {
    /// All that was told of a cause, as a log would hold it. Gone from here.
    fn take(&self, cause: CorrelationId) -> Vec<Value> {
        let batches = self.lock().causes.remove(&cause).unwrap_or_default();
        let records = batches.iter().flat_map(|batch| {
            let events = batch.events.iter();
            events
                .filter_map(|event| serde_json::to_value(EventRecord::new(&batch.run, event)).ok())
        });
        records.collect()
    }

    fn len(&self) -> usize {
        self.lock().causes.len()
    }

    /// Of how many there was something at the same time.
    fn most(&self) -> usize {
        self.lock().most
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Shelf {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        let mut kept = self.lock();
        let cause = batch.run.identity().correlation_id();
        kept.causes.entry(cause).or_default().push(batch);
        kept.most = kept.most.max(kept.causes.len());
        Receipt::new(count, 0)
    }
}
