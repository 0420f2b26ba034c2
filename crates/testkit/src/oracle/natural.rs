//! What becomes of each stage if nobody is in a hurry.

use stageflow_context::Outcome;

use crate::dag::{Behaviour, DagSpec};

/// What becomes of a stage whatever the order in which stages run, unless the run is stopped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Natural {
    /// It ends like this, optional, and those that wait for it go on without its value.
    Absent(Outcome),
    /// It never starts, because a stage it needs ends the run.
    Never,
    /// It is skipped, and so are those that need it.
    Skipped,
    /// It ends the run like this.
    Stops(Outcome),
    /// It gives this value.
    Value(u64),
}

impl Natural {
    /// How the stage ends, if it does.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Absent(outcome) => outcome,
            Self::Never => Outcome::Cancelled,
            Self::Skipped => Outcome::Skipped,
            // In the report of a stage, what cancels the run was cancelled.
            Self::Stops(outcome) => outcome,
            Self::Value(_) => Outcome::Succeeded,
        }
    }
}

impl DagSpec {
    /// What becomes of each stage on any runtime, at any speed, as long as nothing ends the run from outside.
    #[must_use]
    pub fn natural(&self) -> Vec<Natural> {
        let mut known: Vec<Option<Natural>> = vec![None; self.len()];
        while known.contains(&None) {
            for stage in 0..self.len() {
                let upstream: Option<Vec<Natural>> = self.stages[stage]
                    .upstream
                    .iter()
                    .map(|up| known[*up])
                    .collect();
                if let Some(upstream) = upstream {
                    known[stage] = Some(self.naturally(stage, &upstream));
                }
            }
        }
        known.into_iter().flatten().collect()
    }

    /// How the run may end: one way if nothing stops it, one for each stage that may be the first to stop it otherwise.
    #[must_use]
    pub fn natural_outcomes(&self) -> Vec<Outcome> {
        let natural = self.natural();
        let stops: Vec<Outcome> = natural
            .iter()
            .filter_map(|natural| match natural {
                Natural::Stops(Outcome::TimedOut) => Some(Outcome::Failed),
                Natural::Stops(outcome) => Some(*outcome),
                _ => None,
            })
            .collect();
        match (stops.is_empty(), natural[self.output]) {
            (false, _) => stops,
            (true, Natural::Value(_)) => vec![Outcome::Succeeded],
            (true, _) => vec![Outcome::Skipped],
        }
    }

    fn naturally(&self, stage: usize, upstream: &[Natural]) -> Natural {
        let spec = &self.stages[stage];
        let absent_or = |outcome, otherwise| {
            if spec.optional {
                Natural::Absent(outcome)
            } else {
                otherwise
            }
        };
        if upstream.contains(&Natural::Skipped) {
            return absent_or(Outcome::Skipped, Natural::Skipped);
        }
        if upstream
            .iter()
            .any(|up| matches!(up, Natural::Never | Natural::Stops(_)))
        {
            return Natural::Never;
        }
        match spec.behaviour {
            _ if spec.is_too_slow() => {
                absent_or(Outcome::TimedOut, Natural::Stops(Outcome::TimedOut))
            }
            Behaviour::Skip => absent_or(Outcome::Skipped, Natural::Skipped),
            Behaviour::Fail | Behaviour::Panic => {
                absent_or(Outcome::Failed, Natural::Stops(Outcome::Failed))
            }
            Behaviour::CancelRun | Behaviour::Hang => Natural::Stops(Outcome::Cancelled),
            Behaviour::Ok => {
                let value = |up: &Natural| {
                    if let Natural::Value(value) = up {
                        Some(*value)
                    } else {
                        None
                    }
                };
                Natural::Value(self.value(stage, &upstream.iter().map(value).collect::<Vec<_>>()))
            }
        }
    }
}
