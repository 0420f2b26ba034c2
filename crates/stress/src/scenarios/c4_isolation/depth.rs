//! How deep forks may go, and what it takes to drop many of them.

use std::thread::{Builder, scope};

use serde_json::json;
use stageflow::context::{ContextSnapshot, RunId, RunIdentity, SeededIds, SystemIds};

use crate::harness::witness::Witness;
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError};

/// Little, so that work that goes as deep as the chain is long would overflow it.
const STACK: usize = 128 * 1024;

pub(super) fn bounded(lab: &mut Lab) -> Result<(), LabError> {
    let mut deepest = ContextSnapshot::new(full_identity(&SeededIds::new(lab.seed().get())));
    let mut above = Vec::new();
    for depth in 1..=RunIdentity::MAX_DEPTH {
        above.insert(0, deepest.run_id());
        let child = deepest
            .identity()
            .child(RunId::generate(&SystemIds::new()), "again")
            .map_err(LabError::new)?;
        deepest = deepest.fork(child);
        let lineage = deepest.identity().lineage().map(|from| from.run_id());
        lab.check(
            deepest.identity().depth() == depth && lineage.eq(above.iter().copied()),
            "the lineage is the chain of parents",
            Breach::WrongStatus,
            || format!("at depth {depth}: {:?}", deepest.identity()),
        );
    }
    let deeper = deepest
        .identity()
        .child(RunId::generate(&SystemIds::new()), "again");
    lab.check(
        deeper
            .as_ref()
            .is_err_and(|error| error.code() == "SF0210" && error.run_id() == deepest.run_id()),
        "too deep a chain is refused with its code and its run",
        Breach::WrongStatus,
        || format!("{deeper:?}"),
    );
    let text = deepest.to_json().map_err(LabError::new)?;
    let read = ContextSnapshot::from_json(&text).map_err(LabError::new)?;
    lab.check(
        read.identity() == deepest.identity(),
        "the lineage comes back from its text",
        Breach::Lost,
        || format!("{:?}", read.identity()),
    );
    lab.count_trials(RunIdentity::MAX_DEPTH as u64 + 1);
    long_chain(lab, &deepest)
}

/// Forks of forks, as many as nothing would hold: each with a write of its own, each the only one to hold its parent's.
fn long_chain(lab: &mut Lab, start: &ContextSnapshot) -> Result<(), LabError> {
    let (length, witness) = (lab.scaled(100_000), lab.witness());
    let ended = scope(|scope| {
        let work = || fork_on(start, length, &witness);
        let thread = Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().is_ok())
    });
    let ended = ended.map_err(LabError::new)?;
    lab.check(ended, "no thread panics", Breach::WrongStatus, || {
        "it panicked".to_owned()
    });
    lab.count_trials(length);
    Ok(())
}

fn fork_on(start: &ContextSnapshot, length: u64, witness: &Witness) {
    let (ids, org) = (SystemIds::new(), start.identity().org_id());
    let mut chain = start.clone();
    let mut kept = Vec::new();
    for step in 0..length {
        // As deep as it may be, so a sibling: the ids of its people, and another run.
        let sibling = RunIdentity::new(RunId::generate(&ids)).with_org_id(org);
        let Ok(next) = chain.fork(sibling).with_metadata("step", json!(step)) else {
            witness.check(
                false,
                "a fork can be written to",
                Breach::WrongStatus,
                || step.to_string(),
            );
            return;
        };
        if step % 1000 == 0 {
            kept.push((step, next.clone()));
        }
        chain = next;
    }
    drop(chain);
    for (step, fork) in kept {
        let seen = fork.metadata().get("step");
        witness.check(
            seen == Some(&json!(step)),
            "a fork keeps what it had",
            Breach::Leaked,
            || format!("fork {step} has {seen:?}"),
        );
    }
}
