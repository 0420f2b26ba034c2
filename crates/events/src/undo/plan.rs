//! How far undoing has come, as plain data.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use stageflow_context::Outcome;

use super::{UndoPlanError, UndoPlanErrorKind, UndoState};
use crate::EventRecord;

/// What the stages of a run did that can be undone, and how far undoing it has come. Plain data: it can be written down, and
/// put together again from a run's records alone, so that whoever comes after a crash knows what is left.
///
/// ```
/// use stageflow_events::{UndoPlan, UndoState};
///
/// let plan: UndoPlan = serde_json::from_str(r#"{
///     "run_id": "run_1",
///     "steps": [
///         { "stage": "reserve", "state": "done", "attempts": 0 },
///         { "stage": "pay", "state": "undoing", "attempts": 1 },
///         { "stage": "send", "state": "undone", "attempts": 2 }
///     ],
///     "ended": false
/// }"#)?;
/// let due: Vec<_> = plan.due().map(|step| (&*step.stage, step.state)).collect();
/// assert_eq!(due, [("pay", UndoState::Undoing), ("reserve", UndoState::Done)]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UndoPlan {
    /// The run.
    pub run_id: String,
    /// The stages with an undo whose last attempt succeeded, in the order in which it did.
    pub steps: Vec<UndoStep>,
    /// Whether the run has ended, and with it all undoing.
    pub ended: bool,
}

/// One stage of an [`UndoPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UndoStep {
    /// The name of the stage.
    pub stage: String,
    /// How far its undoing has come.
    pub state: UndoState,
    /// How many attempts to undo it were started.
    pub attempts: u32,
}

impl UndoPlan {
    /// The plan of a run, from its records: all of them up to some moment, in any order and among those of other runs. A
    /// record that is there twice counts once.
    ///
    /// # Errors
    ///
    /// [`UndoPlanError`] if a record is missing before the last one, or does not say what it has to.
    pub fn from_records<'r>(
        run_id: &str,
        records: impl IntoIterator<Item = &'r EventRecord>,
    ) -> Result<Self, UndoPlanError> {
        let own = |record: &&EventRecord| record.run_id == run_id && !is_marker(record);
        let mut records: Vec<&EventRecord> = records.into_iter().filter(own).collect();
        records.sort_by_key(|record| record.seq);
        records.dedup_by_key(|record| record.seq);
        let wrong = |kind| UndoPlanError::new(run_id, kind);
        let first = records.first().filter(|first| first.kind == "run.started");
        let start = first.ok_or_else(|| wrong(UndoPlanErrorKind::NoStart))?;
        let mut told = Told {
            can_be_undone: can_be_undone(start),
            plan: Self {
                run_id: run_id.to_owned(),
                steps: Vec::new(),
                ended: false,
            },
        };
        for (seq, record) in (0..).zip(records) {
            if record.seq != seq {
                return Err(wrong(UndoPlanErrorKind::Missing(seq)));
            }
            told.hear(record)
                .ok_or_else(|| wrong(UndoPlanErrorKind::Unclear(seq)))?;
        }
        Ok(told.plan)
    }

    /// What is left to undo, in the order in which to undo it; nothing once the run has ended. Whether it is to be undone at
    /// all is for whoever asks to know: a run that goes on may yet succeed.
    pub fn due(&self) -> impl Iterator<Item = &UndoStep> + '_ {
        let is_due = |step: &&UndoStep| matches!(step.state, UndoState::Done | UndoState::Undoing);
        self.steps
            .iter()
            .rev()
            .filter(|_| !self.ended)
            .filter(is_due)
    }

    /// The stages that could not be undone.
    pub fn failed(&self) -> impl Iterator<Item = &UndoStep> + '_ {
        let steps = self.steps.iter();
        steps.filter(|step| step.state == UndoState::Failed)
    }
}

/// What records have told so far.
struct Told<'r> {
    can_be_undone: HashSet<&'r str>,
    plan: UndoPlan,
}

impl Told<'_> {
    /// `None` if it says something of undoing that cannot be understood.
    fn hear(&mut self, record: &EventRecord) -> Option<()> {
        match record.kind.as_str() {
            "run.ended" => self.plan.ended = true,
            "stage.started" => {
                let again = record.stage.as_ref()?;
                if record.attempt? > 1 {
                    self.plan.steps.retain(|step| step.stage != *again);
                }
            }
            "stage.ended" => {
                let stage = record.stage.as_ref()?;
                let succeeded = text(record, "outcome")? == Outcome::Succeeded.as_str();
                if succeeded && self.can_be_undone.contains(stage.as_str()) {
                    self.plan.steps.push(UndoStep {
                        stage: stage.clone(),
                        state: UndoState::Done,
                        attempts: 0,
                    });
                }
            }
            "undo.started" => self.set(record, UndoState::Undoing)?,
            "undo.ended" => self.set(record, UndoState::parse(text(record, "state")?)?)?,
            _ => {}
        }
        Some(())
    }

    fn set(&mut self, record: &EventRecord, state: UndoState) -> Option<()> {
        let stage = record.stage.as_ref()?;
        let mut steps = self.plan.steps.iter_mut().rev();
        let step = steps.find(|step| step.stage == *stage)?;
        (step.state, step.attempts) = (state, record.attempt?);
        Some(())
    }
}

/// The stages that have an undo.
fn can_be_undone(start: &EventRecord) -> HashSet<&str> {
    let stages = start
        .data
        .get("stages")
        .and_then(|stages| stages.as_array());
    let has_undo = |wire: &&serde_json::Value| {
        let has_undo = wire.get("has_undo");
        has_undo.is_some_and(|it| it.as_bool() == Some(true))
    };
    let wires = stages.into_iter().flatten().filter(has_undo);
    wires
        .filter_map(|wire| wire.get("name")?.as_str())
        .collect()
}

fn text<'r>(record: &'r EventRecord, name: &str) -> Option<&'r str> {
    record.data.get(name)?.as_str()
}

/// Whether it is something that a sink says, and no event of the run.
fn is_marker(record: &EventRecord) -> bool {
    record.kind.starts_with("telemetry.")
}
