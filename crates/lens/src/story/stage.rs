//! What became of a stage.

use std::collections::HashMap;
use std::time::Duration;

use stageflow_context::Outcome;

use super::{OperationStory, PartStory, PartTally, Used};

/// What became of one stage of a run, as far as records tell.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StageStory {
    /// Its name.
    pub name: String,
    /// What it is for, such as `transform`; empty if the first record of the run is missing.
    pub kind: String,
    /// What it is for the engine, such as `merge`; `stage` for most.
    pub role: String,
    /// The stages it waits for, by their places in [`RunStory::stages`](super::RunStory::stages).
    pub after: Vec<usize>,
    /// Its attempts in order, the first thousand of them.
    pub attempts: Vec<AttemptStory>,
    /// Attempts beyond those.
    pub more_attempts: u64,
    /// When a layer answered or refused in its place, or made something else of its last attempt; and what it made of it.
    pub answered: Option<(Duration, Ending)>,
    /// When it got its value without being started: an arm, a merge, a join.
    pub resolved: Option<Duration>,
    /// Why it was not started, if it was not.
    pub skipped: Option<Skipped>,
    /// Its parts, the first few thousand of them: items of a map, rounds of a loop.
    pub parts: Vec<PartStory>,
    /// Parts beyond those.
    pub more_parts: u64,
    /// Its calls to models and tools, the first few thousand of them.
    pub operations: Vec<OperationStory>,
    /// Calls beyond those.
    pub more_operations: u64,
    /// What all its calls used up.
    pub used: Used,
    /// How many notes it made.
    pub notes: u64,
    /// How many requests for approval it made.
    pub approvals: u64,
    /// For how long it held its thread, as far as that was noticed.
    pub blocked: Duration,
    /// Where a part is, by the span around it and its path.
    pub(super) part_places: HashMap<String, usize>,
    /// Where an operation is, by its span.
    pub(super) operation_places: HashMap<String, usize>,
}

/// One try of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptStory {
    /// Which, from 1.
    pub number: u32,
    /// Its span.
    pub span_id: String,
    /// When it started, from the start of the run; `None` if its start is missing.
    pub started: Option<Duration>,
    /// When it ended; `None` if it has not, or its end is missing.
    pub ended: Option<Duration>,
    /// How it ended.
    pub ending: Ending,
}

/// How something ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// How; `None` if that is not known.
    pub outcome: Option<Outcome>,
    /// The code of what went wrong, such as `SF0301`.
    pub code: Option<String>,
    /// `transient` or `permanent`, if something went wrong.
    pub class: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

/// A stage was not started, because of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// When that was known, from the start of the run.
    pub at: Duration,
    /// The stage whose ending it is because of.
    pub because: Option<String>,
}

impl StageStory {
    /// How it ended, layers and all; `None` if it has not, or never started.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        if self.is_open() {
            return None;
        }
        if self.skipped.is_some() {
            return Some(Outcome::Skipped);
        }
        if self.resolved.is_some() {
            return Some(Outcome::Succeeded);
        }
        self.ending()?.outcome
    }

    /// Its last ending: that of the last layer around it, or else of its last attempt.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        let answered = self.answered.as_ref().map(|(_, ending)| ending);
        answered.or_else(|| self.attempts.last().map(|attempt| &attempt.ending))
    }

    /// Whether an attempt of it has started and not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let is_open = |attempt: &AttemptStory| attempt.started.is_some() && attempt.ended.is_none();
        self.attempts.last().is_some_and(is_open)
    }

    /// When its first attempt started.
    #[must_use]
    pub fn started(&self) -> Option<Duration> {
        self.attempts.first()?.started
    }

    /// When it ended, layers and all; also if it was never started, because it was skipped, resolved or answered.
    #[must_use]
    pub fn ended(&self) -> Option<Duration> {
        let answered = self.answered.as_ref().map(|(at, _)| *at);
        let by_itself = || self.attempts.last().and_then(|attempt| attempt.ended);
        let unstarted = || {
            self.resolved
                .or_else(|| self.skipped.as_ref().map(|skipped| skipped.at))
        };
        answered.or_else(by_itself).or_else(unstarted)
    }

    /// How many attempts of it were started.
    #[must_use]
    pub fn attempt_count(&self) -> u64 {
        self.attempts.len() as u64 + self.more_attempts
    }

    /// How many calls to models and tools it made.
    #[must_use]
    pub fn operation_count(&self) -> u64 {
        self.operations.len() as u64 + self.more_operations
    }

    /// How many parts it had, and how those that were kept ended.
    #[must_use]
    pub fn part_tally(&self) -> PartTally {
        let mut tally = PartTally {
            started: self.more_parts,
            ..PartTally::default()
        };
        for part in &self.parts {
            tally.count(part);
        }
        tally
    }
}
