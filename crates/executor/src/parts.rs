//! What became of the parts of a run's stages: counted while it runs, in the report at its end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, MutexGuard};

use stageflow_context::{Outcome, Part, RunHost as _, StageError, StageIndex, Step};
use stageflow_graph::Shape;

use crate::machine::Tick;
use crate::shared::{RunShared, lock};

/// How many parts of a stage there were, and how they ended. Parts inside parts count as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartCounts {
    /// Those that were called.
    pub started: u64,
    /// Those that gave their value.
    pub succeeded: u64,
    /// Those that failed: an error, or a panic.
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

impl PartCounts {
    /// Those that ended without a value.
    #[must_use]
    pub fn without_value(&self) -> u64 {
        self.started.saturating_sub(self.succeeded)
    }

    /// The outcomes that occurred, with how often they did.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome, self.of(outcome)))
            .filter(|(_, count)| *count > 0)
    }

    fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Denied => self.denied,
            Outcome::Failed => self.failed,
            Outcome::Skipped => self.skipped,
            Outcome::Succeeded => self.succeeded,
            Outcome::TimedOut => self.timed_out,
            _ => self.cancelled,
        }
    }

    fn count(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Denied => &mut self.denied,
            Outcome::Failed => &mut self.failed,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Succeeded => &mut self.succeeded,
            Outcome::TimedOut => &mut self.timed_out,
            _ => &mut self.cancelled,
        };
        *count += 1;
    }
}

/// A part that ended without a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartReport {
    /// Where in the stage it is.
    pub part: Arc<Part>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, if something did.
    pub error: Option<StageError>,
}

impl fmt::Display for PartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.outcome)
    }
}

/// The parts of one stage.
#[derive(Debug, Default)]
pub(crate) struct StageParts {
    pub(crate) all: PartCounts,
    /// Those that are not inside another part.
    pub(crate) outer: PartCounts,
    pub(crate) without_value: Vec<PartReport>,
}

impl StageParts {
    /// `12 items, 1 failed: [3]`. Only the outermost parts count; the first few without a value are named.
    pub(crate) fn line(&self, shape: &Shape) -> String {
        /// Enough for a box in a drawing.
        const NAMED: usize = 3;

        let what = match (shape, self.outer.started) {
            (Shape::Map { .. }, 1) => "item",
            (Shape::Map { .. }, _) => "items",
            (_, 1) => "part",
            _ => "parts",
        };
        let mut line = vec![format!("{} {what}", self.outer.started)];
        for (outcome, count) in self.outer.outcomes() {
            if outcome != Outcome::Succeeded {
                line.push(format!("{count} {}", outcome.as_str().replace('_', " ")));
            }
        }
        let line = line.join(", ");
        let outer = |report: &&PartReport| report.part.within().is_none();
        let mut named: Vec<_> = self.without_value.iter().filter(outer).collect();
        named.truncate(NAMED);
        named.sort_by_key(|report| match report.part.step() {
            Step::Item(index) | Step::Round(index) => *index,
            _ => 0,
        });
        if named.is_empty() {
            return line;
        }
        let is_all = self.outer.without_value() <= named.len() as u64;
        let named: Vec<_> = named.iter().map(|report| report.part.to_string()).collect();
        let more = if is_all { "" } else { ", .." };
        format!("{line}: {}{more}", named.join(", "))
    }
}

/// The parts of all stages of a run, as far as they have come.
#[derive(Default)]
pub(crate) struct PartBook {
    stages: BTreeMap<u32, StageParts>,
    /// Only of those with an idle limit.
    beats: HashMap<(u32, Arc<Part>), Tick>,
}

/// Enough to tell what went wrong.
const MOST: usize = 64;

impl PartBook {
    pub(crate) fn started(&mut self, stage: StageIndex, part: &Arc<Part>) {
        let parts = self.stages.entry(stage.get()).or_default();
        parts.all.started += 1;
        parts.outer.started += u64::from(part.within().is_none());
    }

    pub(crate) fn ended(
        &mut self,
        stage: StageIndex,
        part: &Arc<Part>,
        outcome: Outcome,
        error: Option<StageError>,
    ) {
        let parts = self.stages.entry(stage.get()).or_default();
        parts.all.count(outcome);
        if part.within().is_none() {
            parts.outer.count(outcome);
        }
        if outcome != Outcome::Succeeded && parts.without_value.len() < MOST {
            parts.without_value.push(PartReport {
                part: Arc::clone(part),
                outcome,
                error,
            });
        }
    }

    /// What is in the report. What is counted later is in none.
    pub(crate) fn take(&mut self) -> BTreeMap<u32, StageParts> {
        std::mem::take(&mut self.stages)
    }
}

/// While it is there, signs of life of a part are written down.
pub(crate) struct CountingBeats<'a> {
    shared: &'a RunShared,
    key: (u32, Arc<Part>),
}

impl Drop for CountingBeats<'_> {
    fn drop(&mut self) {
        self.shared.book().beats.remove(&self.key);
    }
}

impl RunShared {
    pub(crate) fn book(&self) -> MutexGuard<'_, PartBook> {
        lock(self.parts.get_or_init(Box::default))
    }

    /// From now on signs of life of this part are written down.
    pub(crate) fn count_part_beats(
        &self,
        stage: StageIndex,
        part: &Arc<Part>,
        since: Tick,
    ) -> CountingBeats<'_> {
        let key = (stage.get(), Arc::clone(part));
        self.book().beats.insert(key.clone(), since);
        CountingBeats { shared: self, key }
    }

    /// The last sign of life of a part, if it gave one.
    pub(crate) fn last_part_beat(&self, stage: StageIndex, part: &Arc<Part>) -> Option<Tick> {
        let key = (stage.get(), Arc::clone(part));
        self.book().beats.get(&key).copied()
    }

    /// A sign of life from a part, and so from everything it is in; from the stage itself if there is no part.
    pub(crate) fn beat(&self, stage: StageIndex, part: Option<&Arc<Part>>) {
        self.heartbeat(stage);
        let (Some(mut part), Some(book)) = (part, self.parts.get()) else {
            return;
        };
        let mut book = lock(book);
        if book.beats.is_empty() {
            return;
        }
        let now = self.now();
        loop {
            let key = (stage.get(), Arc::clone(part));
            if let Some(beat) = book.beats.get_mut(&key) {
                *beat = now;
            }
            match part.within() {
                Some(within) => part = within,
                None => return,
            }
        }
    }
}
