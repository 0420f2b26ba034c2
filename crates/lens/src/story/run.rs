//! What became of a run.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use stageflow_context::Outcome;
use stageflow_events::{EventRecord, UndoState};

use super::StageStory;
use super::seqs::Seqs;
use crate::field::at;

/// What became of one run, as far as its records tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunStory {
    /// The run.
    pub run_id: String,
    /// Whom it was for.
    pub who: Who,
    /// The pipeline.
    pub pipeline: String,
    /// The trace.
    pub trace_id: String,
    /// The run's own span, if a record told it.
    pub span_id: Option<String>,
    /// The span around it, in another process or in the stage that started it.
    pub parent_span_id: Option<String>,
    /// The run that started this one, if a stage did.
    pub parent: Option<Above>,
    /// When it started, in microseconds since 1970-01-01 00:00 UTC.
    pub started_us: u64,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// The last that was heard of it, from its start.
    pub last: Duration,
    /// Its stages, in the order of declaration; in the order in which they were heard of if its first record is missing.
    pub stages: Vec<StageStory>,
    /// Its cleanups that ended, the first few thousand of them.
    pub cleanups: Vec<CleanupStory>,
    /// Its attempts to undo what its stages did, in the order in which their records came, the first few thousand of them.
    pub undos: Vec<UndoStory>,
    /// How often a budget was nearly used up, or exceeded.
    pub budget_notices: u64,
    /// How many of its events were counted.
    pub events: u64,
    /// How many of its events came more than once. They count once.
    pub repeated: u64,
    /// How many of its events a sink said it dropped.
    pub dropped: u64,
    pub(super) begun: bool,
    pub(super) seqs: Seqs,
    pub(super) places: HashMap<String, usize>,
}

/// Whom a run was for, and what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who {
    /// What ties together everything done for one cause.
    pub correlation_id: String,
    /// The request, if it is known.
    pub request_id: Option<String>,
    /// The session, if it is known.
    pub session_id: Option<String>,
    /// The user, if it is known.
    pub user_id: Option<String>,
    /// The org, if it is known.
    pub org_id: Option<String>,
    /// The interaction, if it is known.
    pub interaction_id: Option<String>,
}

/// The run and the stage that started a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Above {
    /// The run.
    pub run_id: String,
    /// The place in it, such as `research[3]`.
    pub stage: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// When, from its start.
    pub at: Duration,
    /// How, if that is told in a word that is known.
    pub outcome: Option<Outcome>,
    /// Why it was told to stop, if it was.
    pub reason: Option<String>,
}

/// How a cleanup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanupStory {
    /// The stage that registered it.
    pub stage: String,
    /// Its name.
    pub name: String,
    /// When it ended, from the start of the run.
    pub at: Duration,
    /// How.
    pub outcome: Option<Outcome>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// How an attempt to undo a stage ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndoStory {
    /// The stage.
    pub stage: String,
    /// Which attempt to undo it, from 1; 0 if there was no time left for any.
    pub attempt: u32,
    /// When it ended, from the start of the run.
    pub at: Duration,
    /// How.
    pub outcome: Option<Outcome>,
    /// How far the undoing of the stage has come with that.
    pub state: Option<UndoState>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

impl RunStory {
    /// Of the run of this record nothing else is known yet.
    pub(super) fn of(record: &EventRecord) -> Self {
        let above = record.parent_run_id.as_ref().map(|run_id| Above {
            run_id: run_id.clone(),
            stage: record.parent_stage.clone().unwrap_or_default(),
        });
        Self {
            run_id: record.run_id.clone(),
            who: Who::of(record),
            pipeline: record.pipeline.clone(),
            trace_id: record.trace_id.clone(),
            span_id: None,
            parent_span_id: None,
            parent: above,
            started_us: record.time_us.saturating_sub(record.elapsed_ns / 1000),
            ended: None,
            last: at(record),
            stages: Vec::new(),
            cleanups: Vec::new(),
            undos: Vec::new(),
            budget_notices: 0,
            events: 0,
            repeated: 0,
            dropped: 0,
            begun: false,
            seqs: Seqs::default(),
            places: HashMap::new(),
        }
    }

    /// How it ended, if it has and its end is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.ended.as_ref()?.outcome
    }

    /// Whether its first event is known, and with it all its stages.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether its last event has come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// From its start to its end, or to the last that was heard of it.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.ended.as_ref().map_or(self.last, |ended| ended.at)
    }

    /// A stage by its name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageStory> {
        self.stages.get(*self.places.get(name)?)
    }

    /// The stages that should have been undone and could not be.
    pub fn not_undone(&self) -> impl Iterator<Item = &str> + '_ {
        let failed = |undo: &&UndoStory| undo.state == Some(UndoState::Failed);
        self.undos.iter().filter(failed).map(|undo| &*undo.stage)
    }

    /// The numbers of events that are missing below the highest one.
    pub fn gaps(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.seqs.gaps()
    }

    /// How many events are missing below the highest one.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.seqs.missing()
    }

    /// How many of its events are not there: as many as are missing, or as sinks said they dropped.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.missing().max(self.dropped)
    }

    /// The stages that decided how long the run took: from a root to the one that ended last, each the last one its successor
    /// waited for.
    #[must_use]
    pub fn critical_path(&self) -> Vec<&StageStory> {
        let mut path: Vec<&StageStory> = Vec::new();
        let mut next = self.last_of(0..self.stages.len());
        while let Some(place) = next {
            // Records may say anything, also that stages wait for each other.
            if path.len() > self.stages.len() {
                break;
            }
            path.push(&self.stages[place]);
            next = self.last_of(self.waited_for(place));
        }
        path.reverse();
        path
    }

    /// When the last of those it waited for had ended: from then on a stage could have started.
    #[must_use]
    pub fn ready(&self, stage: &StageStory) -> Option<Duration> {
        let started = stage.started().or_else(|| stage.ended())?;
        let place = *self.places.get(&stage.name)?;
        let ends = self.waited_for(place);
        let ends = ends.into_iter().filter_map(|up| self.stages[up].ended());
        Some(ends.max().unwrap_or_default().min(started))
    }

    fn last_of(&self, places: impl IntoIterator<Item = usize>) -> Option<usize> {
        let ran = |place: &usize| {
            let stage = &self.stages[*place];
            !stage.attempts.is_empty() || stage.resolved.is_some()
        };
        let places = places.into_iter().filter(ran);
        places.max_by_key(|place| (self.stages[*place].ended(), std::cmp::Reverse(*place)))
    }

    /// Those that a stage waited for, without what ended later: a join may be decided before. In the place of one that failed
    /// is the one that stood in for it.
    fn waited_for(&self, place: usize) -> Vec<usize> {
        let stage = &self.stages[place];
        let started = stage.started().or_else(|| stage.ended());
        if stage.role == "fallback" {
            // It comes right after the one it stands in for.
            return place.checked_sub(1).into_iter().collect();
        }
        let stood_in = |up: usize| {
            let mut at = up;
            while self.stages[at].outcome() != Some(Outcome::Succeeded) {
                match self.stages.get(at + 1) {
                    Some(next) if next.role == "fallback" => at += 1,
                    _ => return up,
                }
            }
            at
        };
        let known = stage.after.iter().filter(|up| **up < self.stages.len());
        let ended =
            |up: &usize| self.stages[*up].ended() <= started && self.stages[*up].ended().is_some();
        known.map(|up| stood_in(*up)).filter(ended).collect()
    }
}

impl Who {
    fn of(record: &EventRecord) -> Self {
        Self {
            correlation_id: record.correlation_id.clone(),
            request_id: record.request_id.clone(),
            session_id: record.session_id.clone(),
            user_id: record.user_id.clone(),
            org_id: record.org_id.clone(),
            interaction_id: record.interaction_id.clone(),
        }
    }
}
