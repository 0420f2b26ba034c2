//! What must come of a list of cleanups.

use stageflow::prelude::*;

/// What a cleanup does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Takes(u32),
    Fails(u32),
    Panics(u32),
    Hangs,
}

impl Deed {
    /// How long it takes, if it ends.
    pub(super) fn length(self) -> Option<u32> {
        match self {
            Self::Takes(millis) | Self::Fails(millis) | Self::Panics(millis) => Some(millis),
            Self::Hangs => None,
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Takes(_) => Outcome::Succeeded,
            Self::Fails(_) | Self::Panics(_) => Outcome::Failed,
            Self::Hangs => Outcome::TimedOut,
        }
    }
}

/// How the run ends before its cleanups begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Success,
    Failure,
    Limit,
    Cancel,
}

/// What must come of a list of cleanups: for each, in the order of registration, how it ends and whether it is begun.
pub(super) struct Fate {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) begun: Vec<bool>,
    pub(super) ends: u32,
    /// Something ends just when the budget is used up, so that either is right.
    pub(super) tied: bool,
}

/// The rule, step by step: the last one registered is next. Whoever takes longer than a twentieth of the budget is no longer
/// waited for alone; at the end of the budget all is over.
pub(super) fn fate(deeds: &[Deed], budget: u32) -> Fate {
    let mut outcomes = vec![Outcome::TimedOut; deeds.len()];
    let mut begun = vec![false; deeds.len()];
    let (mut now, mut last, mut tied) = (0, 0, false);
    for (at, deed) in deeds.iter().enumerate().rev() {
        if now >= budget {
            break;
        }
        begun[at] = true;
        let ends = deed.length().map_or(u32::MAX, |length| now + length);
        if ends < budget {
            outcomes[at] = deed.outcome();
        }
        tied |= ends == budget;
        last = last.max(ends.min(budget));
        now = ends.min(now + budget / 20).min(budget);
    }
    Fate {
        outcomes,
        begun,
        ends: last.max(now),
        tied,
    }
}
