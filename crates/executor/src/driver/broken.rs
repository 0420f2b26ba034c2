//! Where a driver goes wrong if it is told to: see [`crate::sabotage`]. Without the feature nothing here is ever asked.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow_context::{Outcome, StageError, StageErrorKind};
use stageflow_graph::Plan;
use stageflow_interceptors::Ending;

use super::Driver;
use crate::data::RunData;
use crate::engine::EngineInner;
use crate::machine::{RunMachine, Tick, Verdict};
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

impl RunData {
    /// What a broken engine makes of an ending.
    pub(crate) fn spoilt(&self, stage: u32, ending: Ending) -> Ending {
        let saboteur = &self.shared.engine.saboteur;
        match ending {
            Ending::Failed(error)
                if matches!(error.kind(), StageErrorKind::Panicked(_))
                    && saboteur.strikes(Fault::SwallowPanic) =>
            {
                Ending::Skipped(Arc::from("it panicked"))
            }
            Ending::Failed(error)
                if matches!(error.kind(), StageErrorKind::RetryRefused)
                    && saboteur.strikes(Fault::RetryIsSkip) =>
            {
                Ending::Skipped(Arc::from("it asked for another attempt"))
            }
            Ending::Failed(error) if stage > 0 && saboteur.strikes(Fault::BlameAnother) => {
                let name = self.shared.plan.names()[stage as usize - 1].clone();
                Ending::Failed(StageError::new(
                    name,
                    error.attempt(),
                    StageErrorKind::Failed(error.class()),
                    error,
                ))
            }
            ending => ending,
        }
    }

    /// What a broken engine makes of the whole run.
    pub(crate) fn spoil(&mut self) {
        let cancelled = matches!(self.verdict, Verdict::Cancelled | Verdict::CancelledBy(_));
        if cancelled && self.shared.engine.saboteur.strikes(Fault::CancelIsSuccess) {
            self.verdict = Verdict::Completed;
        }
        if self.verdict != Verdict::Completed
            && self.shared.engine.saboteur.strikes(Fault::LoseOutputs)
        {
            self.values.fill(None);
        }
    }
}
