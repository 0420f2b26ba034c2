//! What happened to one stage.

use std::fmt;
use std::time::Duration;

use stageflow_context::{Outcome, StageError, StageName};
use stageflow_graph::{Role, StageKind};

use crate::data::{Record, RunData, Skip};
use crate::parts::StageParts;
use crate::{PartCounts, PartReport};

/// What happened to one stage of a run.
#[derive(Clone, Copy)]
pub struct StageReport<'a> {
    pub(super) data: &'a RunData,
    pub(super) index: usize,
}

impl<'a> StageReport<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a StageName {
        &self.data.shared.plan.names()[self.index]
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        self.data.shared.plan.options(self.index).kind
    }

    /// How it ended. A stage that was never started because the run was stopped is [`Outcome::Cancelled`].
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.record().outcome.unwrap_or(Outcome::Cancelled)
    }

    /// How many attempts were started.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.record().attempts
    }

    /// When it started, from the start of the run; `None` if it never did.
    #[must_use]
    pub fn started(&self) -> Option<Duration> {
        self.was_called().then(|| self.record().started.elapsed())
    }

    /// When it ended, from the start of the run; `None` if it never started.
    #[must_use]
    pub fn ended(&self) -> Option<Duration> {
        self.was_called().then(|| self.record().ended.elapsed())
    }

    /// From its start to its end, layers and all attempts included; zero if it never started.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.record()
            .ended
            .elapsed()
            .saturating_sub(self.record().started.elapsed())
    }

    /// What went wrong, if something did.
    #[must_use]
    pub fn error(&self) -> Option<&'a StageError> {
        self.data
            .errors
            .iter()
            .find(|error| error.stage() == self.name())
    }

    /// How many parts it had, items of a map or rounds of a loop, and how they ended. All zero if it had none.
    #[must_use]
    pub fn parts(&self) -> PartCounts {
        self.its_parts()
            .map_or_else(PartCounts::default, |parts| parts.all)
    }

    /// Its parts that ended without a value, at most 64 of them, in the order in which they ended.
    #[must_use]
    pub fn parts_without_value(&self) -> &'a [PartReport] {
        self.its_parts()
            .map_or(&[], |parts| parts.without_value.as_slice())
    }

    /// Its parts in one line, for drawings: `12 items, 1 failed: [3]`.
    pub(super) fn parts_line(&self) -> Option<String> {
        let shape = self.data.shared.plan.shape(self.index);
        self.its_parts().map(|parts| parts.line(shape))
    }

    fn its_parts(&self) -> Option<&'a StageParts> {
        self.data.parts.get(&(self.index as u32))
    }

    /// The layer that its call was waiting in when the run was stopped, if it was waiting in one: a layer that waits too
    /// long, or forever, is found here.
    #[must_use]
    pub fn stopped_in(&self) -> Option<&'a str> {
        self.data
            .stopped_in
            .iter()
            .find(|(stage, _)| *stage as usize == self.index)
            .map(|(_, layer)| &**layer)
    }

    /// Why it was skipped: in the words of the stage that skipped first, or what its route took, or which stage failed.
    #[must_use]
    pub fn skip_reason(&self) -> Option<&'a str> {
        self.skip().map(|skip| &*skip.reason)
    }

    /// What it is for the engine: a stage, a route, an arm, a merge, a join, a fallback.
    #[must_use]
    pub fn role(&self) -> Role {
        self.data.shared.plan.role(self.index)
    }

    /// Not if it was skipped because of another stage, or its turn never came.
    fn was_called(&self) -> bool {
        let record = self.record();
        record
            .outcome
            .is_some_and(|outcome| record.attempts > 0 || outcome != Outcome::Skipped)
    }

    pub(super) fn skip(&self) -> Option<&'a Skip> {
        self.data.skip_of(u32::try_from(self.index).ok()?)
    }

    fn record(&self) -> &'a Record {
        &self.data.records[self.index]
    }
}

impl fmt::Debug for StageReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageReport")
            .field("name", self.name())
            .field("outcome", &self.outcome())
            .field("attempts", &self.attempts())
            .field("duration", &self.duration())
            .finish_non_exhaustive()
    }
}
