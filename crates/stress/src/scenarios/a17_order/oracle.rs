//! What an onion must say, worked out layer by layer.

use stageflow::prelude::*;

use super::layers::{Deed, Said, Told};

/// How the stage inside ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Value,
    Failure,
    Panic,
    Skip,
    Cancel,
    /// It never ends, and has a limit.
    Slow,
    /// It never ends, and the run has a deadline.
    Endless,
    /// It never ends, and the caller goes away.
    Abandoned,
}

impl Inside {
    pub(super) const ALL: [Self; 8] = [
        Self::Value,
        Self::Failure,
        Self::Panic,
        Self::Skip,
        Self::Cancel,
        Self::Slow,
        Self::Endless,
        Self::Abandoned,
    ];

    fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Value => Some(Outcome::Succeeded),
            Self::Failure | Self::Panic => Some(Outcome::Failed),
            Self::Skip => Some(Outcome::Skipped),
            Self::Cancel => Some(Outcome::Cancelled),
            Self::Slow => Some(Outcome::TimedOut),
            Self::Endless | Self::Abandoned => None,
        }
    }
}

/// What must be said, and what the stage's outcome is. It is `None` if the run ends from outside while the stage waits.
pub(super) fn expected(onion: &[Told], inside: Inside) -> (Vec<Said>, Option<Outcome>) {
    let mut said = Vec::new();
    let outcome = call(onion, inside, &mut said);
    (said, outcome)
}

fn call(onion: &[Told], inside: Inside, said: &mut Vec<Said>) -> Option<Outcome> {
    let Some((layer, inner)) = onion.split_first() else {
        said.push(Said::Stage);
        return inside.outcome();
    };
    said.push(Said::In(layer.id));
    if layer.waits && layer.deed == Some(Deed::PanicOnTheWayIn) {
        // Its own future is what panicked: there is nothing to leave.
        return Some(Outcome::Failed);
    }
    let outcome = match layer.deed {
        Some(Deed::Answer) => Some(Outcome::Succeeded),
        Some(Deed::Deny) => Some(Outcome::Denied),
        Some(Deed::PanicOnTheWayIn) => Some(Outcome::Failed),
        _ => call(inner, inside, said),
    };
    if layer.waits && outcome.is_none() {
        said.push(Said::Gone(layer.id));
        return None;
    }
    said.push(Said::Out(layer.id, outcome.unwrap_or(Outcome::Cancelled)));
    match (layer.deed, outcome) {
        (Some(Deed::FailOnTheWayOut | Deed::PanicOnTheWayOut), Some(_)) => Some(Outcome::Failed),
        (_, outcome) => outcome,
    }
}
