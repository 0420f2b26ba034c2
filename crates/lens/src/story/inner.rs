//! What became of things inside a stage.

use std::time::Duration;

use stageflow_context::Outcome;

use super::{AttemptStory, Ending};

/// What became of a part of a stage: an item of a map, a round of a loop. The same place in another try of the stage is
/// another part.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PartStory {
    /// The place inside the stage, such as `[3]`.
    pub path: String,
    /// The span it lies in: the attempt of the stage, or of another part.
    pub parent_span_id: String,
    /// Its attempts in order, the first hundred of them.
    pub attempts: Vec<AttemptStory>,
    /// Attempts beyond those.
    pub more_attempts: u64,
    /// When a layer answered or refused in its place, or made something else of its last attempt; and what it made of it.
    pub answered: Option<(Duration, Ending)>,
}

/// A call to something outside: a model, a tool, a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationStory {
    /// Which operation of the run, from 0.
    pub number: u64,
    /// `chat`, `embeddings`, `execute_tool` or `other`.
    pub kind: String,
    /// The model, the tool, or whatever else it is.
    pub name: String,
    /// Who offers it.
    pub provider: Option<String>,
    /// The part of the stage that called, if it was a part.
    pub part: Option<String>,
    /// Its span.
    pub span_id: String,
    /// The span it lies in.
    pub parent_span_id: Option<String>,
    /// When it started, from the start of the run.
    pub started: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// What it used up.
    pub used: Used,
}

/// What calls used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Used {
    /// Tokens that went in.
    pub input_tokens: u64,
    /// Tokens that came out.
    pub output_tokens: u64,
    /// What it cost, in millionths.
    pub cost_micros: u64,
}

/// How many parts there were, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartTally {
    /// Those that were heard of.
    pub started: u64,
    /// Those that gave their value.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that took too long.
    pub timed_out: u64,
    /// Those that a layer refused.
    pub denied: u64,
    /// Those that had nothing to do.
    pub skipped: u64,
    /// Those that were stopped.
    pub cancelled: u64,
}

impl PartStory {
    /// How it ended, layers and all, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.answered {
            Some((_, ending)) => ending.outcome,
            None => self.attempts.last()?.ending.outcome,
        }
    }

    /// When its first attempt started.
    #[must_use]
    pub fn started(&self) -> Option<Duration> {
        self.attempts.first()?.started
    }

    /// When it ended, layers and all.
    #[must_use]
    pub fn ended(&self) -> Option<Duration> {
        let answered = self.answered.as_ref().map(|(at, _)| *at);
        answered.or_else(|| self.attempts.last()?.ended)
    }
}

impl Used {
    pub(super) fn add(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }
}

impl PartTally {
    pub(super) fn count(&mut self, part: &PartStory) {
        self.started += 1;
        match part.outcome() {
            Some(Outcome::Succeeded) => self.succeeded += 1,
            Some(Outcome::Failed) => self.failed += 1,
            Some(Outcome::TimedOut) => self.timed_out += 1,
            Some(Outcome::Denied) => self.denied += 1,
            Some(Outcome::Skipped) => self.skipped += 1,
            Some(Outcome::Cancelled) => self.cancelled += 1,
            _ => {}
        }
    }
}
