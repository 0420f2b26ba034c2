//! A hundred thousand derivations, one from the other.

use std::ptr::eq;
use std::thread::{Builder, scope};

use serde_json::json;
use stageflow::context::{ContextSnapshot, Message, SeededIds};

use crate::harness::witness::Witness;
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError};

/// Little, so that work that goes as deep as the chain is long would overflow it.
const STACK: usize = 128 * 1024;

pub(super) fn long(lab: &mut Lab) -> Result<(), LabError> {
    let identity = full_identity(&SeededIds::new(lab.seed().get()));
    let first = ContextSnapshot::new(identity).with_message(Message::user("first"));
    let digest = first.digest().map_err(LabError::new)?;
    let length = lab.scaled(100_000);
    let witness = lab.witness();
    let ended = scope(|scope| {
        let work = || derive(&first, length, &witness);
        let thread = Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().is_ok())
    });
    let ended = ended.map_err(LabError::new)?;
    lab.check(ended, "no thread panics", Breach::WrongStatus, || {
        "it panicked".to_owned()
    });
    lab.count_trials(length);
    let after = first.digest().map_err(LabError::new)?;
    lab.check(
        after == digest,
        "a parent stays as it was",
        Breach::Leaked,
        || format!("{digest} became {after}"),
    );
    Ok(())
}

fn derive(first: &ContextSnapshot, length: u64, witness: &Witness) {
    let mut last = first.clone();
    for step in 0..length {
        if witness.has_seen_enough() {
            break;
        }
        let Ok(next) = last.with_metadata("step", json!(step)) else {
            witness.check(
                false,
                "a value can be replaced for ever",
                Breach::WrongStatus,
                || step.to_string(),
            );
            break;
        };
        witness.check(
            eq(next.conversation(), first.conversation()) && next.metadata().len() == 1,
            "what did not change is shared",
            Breach::PerfGateDoubled,
            || format!("step {step} moved the conversation"),
        );
        last = next;
    }
}
