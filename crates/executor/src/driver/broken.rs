//! Where a driver goes wrong if it is told to: see [`crate::sabotage`]. Without the feature nothing here is ever asked.

use std::num::NonZeroUsize;

use stageflow_context::Outcome;
use stageflow_graph::Plan;

use super::Driver;
use crate::engine::EngineInner;
use crate::machine::{RunMachine, Tick};
use crate::sabotage::Fault;

impl Driver<'_> {
    /// A broken engine lets the stages that run end first.
    pub(super) fn cancels_late(&self) -> bool {
        self.machine.running() > 0 && self.shared.engine.saboteur.strikes(Fault::CancelLate)
    }

    /// A broken engine passes a stage's first value on as the stage's own. `false` if it would not be taken for one.
    #[cold]
    pub(super) fn pretend(&mut self, stage: u32) -> bool {
        let first = self.plan.upstream(stage as usize).first();
        let value = first.and_then(|slot| self.data.values[*slot as usize].clone());
        let Some(value) =
            value.filter(|value| value.type_id_of_value() == self.plan.value_type(stage as usize))
        else {
            return false;
        };
        self.tell_started(stage);
        self.data.values[stage as usize] = Some(value);
        self.tell_succeeded(stage, self.now);
        self.data.records[stage as usize].outcome = Some(Outcome::Succeeded);
        self.machine.succeeded(stage, self.now);
        true
    }
}

/// The machine of a run, in the hands of the engine's saboteur.
pub(super) fn machine<'p>(
    plan: &'p Plan,
    engine: &'p EngineInner,
    width: NonZeroUsize,
    deadline: Option<Tick>,
) -> RunMachine<'p> {
    let machine = RunMachine::new(plan, width, deadline);
    #[cfg(feature = "stress-sabotage")]
    let machine = machine.sabotaged(&engine.saboteur);
    #[cfg(not(feature = "stress-sabotage"))]
    let _ = engine;
    machine
}
