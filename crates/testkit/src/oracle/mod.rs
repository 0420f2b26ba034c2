//! What must come of a random pipeline, worked out in the plainest way there is.
//!
//! Nothing here shares code or ideas with the scheduler: no counters of edges, no compressed rows, no queues of effects. All
//! stages are looked at again after everything that happens.

mod natural;
mod replay;
mod simulate;

use stageflow_context::Outcome;
use stageflow_graph::Placement;

pub use natural::Natural;
pub use replay::{Clock, ReplayError};

use crate::dag::{Behaviour, DagSpec, Interruption};
use simulate::Simulation;

/// What must come of one run of a [`DagSpec`], to the millisecond. Stages are called by their place in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prediction {
    /// How the run ends.
    pub outcome: Outcome,
    /// When, in milliseconds after its start.
    pub ended: u64,
    /// What becomes of each stage.
    pub stages: Vec<StagePrediction>,
    /// The stages that start, in the order in which they do.
    pub starts: Vec<usize>,
    /// The stages that fail, the one that decides the run first, the others in the order in which they do.
    pub errors: Vec<usize>,
    /// The most stages that run at a time.
    pub peak: usize,
    /// Moments at which more than one thing happens, so that the rules leave open which is first.
    pub ties: Vec<Tie>,
}

/// What must become of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StagePrediction {
    /// How it ends; [`Outcome::Cancelled`] also if it never starts because the run is stopped.
    pub outcome: Outcome,
    /// When it starts, if it does.
    pub started: Option<u64>,
    /// When it ends, if it starts.
    pub ended: Option<u64>,
    /// What it gives, if it does.
    pub value: Option<u64>,
    /// The stage that skipped first, if it is skipped.
    pub because: Option<usize>,
}

/// Two things that happen at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tie {
    /// This stage ends when something else ends or stops the run.
    Stage(usize),
    /// The run is stopped from outside when a stage ends.
    Interruption,
}

impl DagSpec {
    /// What must come of a run whose stages sleep on a paused clock.
    ///
    /// A stage starts when, and only when, all stages it waits for have ended with a value (or without one, if they are
    /// optional) and a slot is free. Those that wait for a slot get it in the order in which they became ready, those that
    /// became ready together in the order of declaration. A stage without a delay ends at its first poll, before anything else
    /// happens, if it is in the task of its run. Stages that are due at the same moment end in the order of declaration, and
    /// only then do others start; with tasks or interruptions among them that is left open: see [`Prediction::ties`].
    #[must_use]
    pub fn predict(&self) -> Prediction {
        Simulation::new(self).run()
    }

    /// The same pipeline with some delays made longer, so that no two stages end at the same moment, and with tasks in place of
    /// blocking threads, which end when they like: then there is exactly one way for the run to go.
    #[must_use]
    pub fn untied(self) -> Self {
        /// Far more than it takes.
        const ROUNDS: usize = 500;

        let mut spec = self;
        for stage in spec
            .stages
            .iter_mut()
            .filter(|stage| stage.placement == Placement::Blocking)
        {
            stage.placement = Placement::Spawn;
        }
        spec = spec.tidy();
        for _ in 0..ROUNDS {
            let ties = spec.predict().ties;
            if ties.is_empty() {
                break;
            }
            for tie in ties {
                spec.loosen(tie);
            }
            spec = spec.tidy();
        }
        spec
    }

    fn loosen(&mut self, tie: Tie) {
        match tie {
            Tie::Interruption => {
                self.interruption = self.interruption.map(|interruption| match interruption {
                    Interruption::CancelAfter(after) => Interruption::CancelAfter(after + 1),
                    Interruption::Deadline(after) => Interruption::Deadline(after + 1),
                });
            }
            Tie::Stage(stage) => {
                let stage = &mut self.stages[stage];
                let too_slow = stage.is_too_slow();
                match &mut stage.limit {
                    Some(limit) if too_slow => *limit += 1,
                    _ => stage.delay += 1,
                }
                if too_slow && stage.behaviour != Behaviour::Hang {
                    stage.delay += 1;
                }
            }
        }
    }
}
