//! One record more: what it changes in the story of its run. The order in which records come makes no difference.

use std::time::Duration;

use serde::Deserialize as _;
use stageflow_context::Wire;
use stageflow_events::{EventRecord, UndoState};

use super::{
    AttemptStory, CleanupStory, Ended, Ending, OperationStory, PartStory, RunStory, Skipped,
    StageStory, UndoStory, Used,
};
use crate::field::{at, is_marker, number, number_in, outcome, text};

/// More of these in a run are counted, and not kept.
const MOST_CLEANUPS: usize = 4096;
const MOST_UNDOS: usize = 4096;
const MOST_STAGES: usize = 200_000;
/// More of these in a stage are counted, and not kept.
const MOST_PARTS: usize = 16_384;
const MOST_OPERATIONS: usize = 16_384;
const MOST_ATTEMPTS: usize = 1024;
const MOST_PART_ATTEMPTS: usize = 128;

impl RunStory {
    /// Adds a record of this run.
    pub(super) fn add(&mut self, record: &EventRecord) {
        if is_marker(record) {
            self.dropped += number(record, "count").unwrap_or(0);
            return;
        }
        if !self.seqs.add(record.seq) {
            self.repeated += 1;
            return;
        }
        self.events += 1;
        self.last = self.last.max(at(record));
        match record.kind.as_str() {
            "run.started" => self.run_started(record),
            "run.ended" => self.run_ended(record),
            "cleanup.ended" => self.cleanup_ended(record),
            "undo.started" => {}
            "undo.ended" => self.undo_ended(record),
            "budget.warned" | "budget.exceeded" => self.budget_notices += 1,
            _ => {
                if let Some(stage) = self.stage_of(record) {
                    stage.add(record);
                }
            }
        }
    }

    fn run_started(&mut self, record: &EventRecord) {
        self.begun = true;
        self.span_id = Some(record.span_id.clone());
        self.parent_span_id.clone_from(&record.parent_span_id);
        let Some(stages) = record.data.get("stages") else {
            return;
        };
        let Ok(wires) = Vec::<Wire>::deserialize(stages) else {
            return;
        };
        let mut known = std::mem::take(&mut self.stages);
        self.places.clear();
        for wire in &wires {
            let told = known.iter_mut().find(|stage| *stage.name == *wire.name);
            let told = told.map(std::mem::take).unwrap_or_default();
            self.push(StageStory {
                name: (*wire.name).to_owned(),
                kind: (*wire.kind).to_owned(),
                role: (*wire.role).to_owned(),
                after: wire.after.iter().map(|up| *up as usize).collect(),
                ..told
            });
        }
        for stage in known {
            if !stage.name.is_empty() {
                self.push(stage);
            }
        }
    }

    fn push(&mut self, stage: StageStory) {
        self.places.insert(stage.name.clone(), self.stages.len());
        self.stages.push(stage);
    }

    fn run_ended(&mut self, record: &EventRecord) {
        self.span_id = Some(record.span_id.clone());
        self.parent_span_id.clone_from(&record.parent_span_id);
        self.ended = Some(Ended {
            at: at(record),
            outcome: outcome(record),
            reason: text(record, "reason").map(ToOwned::to_owned),
        });
    }

    fn cleanup_ended(&mut self, record: &EventRecord) {
        if self.cleanups.len() < MOST_CLEANUPS {
            self.cleanups.push(CleanupStory {
                stage: record.stage.clone().unwrap_or_default(),
                name: text(record, "cleanup").unwrap_or_default().to_owned(),
                at: at(record),
                outcome: outcome(record),
                error: text(record, "error").map(ToOwned::to_owned),
            });
        }
    }

    fn undo_ended(&mut self, record: &EventRecord) {
        if self.undos.len() < MOST_UNDOS {
            self.undos.push(UndoStory {
                stage: record.stage.clone().unwrap_or_default(),
                attempt: record.attempt.unwrap_or(0),
                at: at(record),
                outcome: outcome(record),
                state: text(record, "state").and_then(UndoState::parse),
                error: text(record, "error").map(ToOwned::to_owned),
            });
        }
    }

    fn stage_of(&mut self, record: &EventRecord) -> Option<&mut StageStory> {
        let name = record.stage.as_ref()?;
        let place = match self.places.get(name) {
            Some(place) => *place,
            None if self.stages.len() >= MOST_STAGES => return None,
            None => {
                self.push(StageStory {
                    name: name.clone(),
                    role: "stage".to_owned(),
                    ..StageStory::default()
                });
                self.stages.len() - 1
            }
        };
        self.stages.get_mut(place)
    }
}

impl StageStory {
    fn add(&mut self, record: &EventRecord) {
        match record.kind.as_str() {
            "stage.started" => self.attempt(record, |attempt, at| attempt.started = Some(at)),
            "stage.ended" => self.attempt(record, |attempt, at| {
                attempt.ended = Some(at);
                attempt.ending = Ending::of(record);
            }),
            "stage.answered" => self.answered = Some((at(record), Ending::of(record))),
            "stage.resolved" => self.resolved = Some(at(record)),
            "stage.skipped" => {
                self.skipped = Some(Skipped {
                    at: at(record),
                    because: text(record, "because").map(ToOwned::to_owned),
                });
            }
            "stage.blocking_detected" => {
                self.blocked += Duration::from_micros(number(record, "held_us").unwrap_or(0));
            }
            "part.started" | "part.ended" | "part.answered" => self.part(record),
            "operation.started" | "operation.ended" => self.operation(record),
            "approval.asked" => self.approvals += 1,
            "approval.ended" => {}
            _ => self.notes += 1,
        }
    }

    fn attempt(&mut self, record: &EventRecord, change: impl FnOnce(&mut AttemptStory, Duration)) {
        match in_order(&mut self.attempts, record, MOST_ATTEMPTS) {
            Some(attempt) => change(attempt, at(record)),
            None => self.more_attempts += u64::from(record.kind == "stage.started"),
        }
    }

    fn part(&mut self, record: &EventRecord) {
        let path = record.part.as_deref().unwrap_or_default();
        let around = record.parent_span_id.as_deref().unwrap_or_default();
        let key = format!("{around}{path}");
        let place = match self.part_places.get(&key) {
            Some(place) => *place,
            None if self.parts.len() >= MOST_PARTS => {
                let is_first = record.attempt == Some(1);
                self.more_parts += u64::from(record.kind == "part.started" && is_first);
                return;
            }
            None => {
                self.parts.push(PartStory {
                    path: path.to_owned(),
                    parent_span_id: around.to_owned(),
                    ..PartStory::default()
                });
                self.part_places.insert(key, self.parts.len() - 1);
                self.parts.len() - 1
            }
        };
        self.parts[place].add(record);
    }

    fn operation(&mut self, record: &EventRecord) {
        let used = Used {
            input_tokens: number_in(record, "usage", "input_tokens").unwrap_or(0),
            output_tokens: number_in(record, "usage", "output_tokens").unwrap_or(0),
            cost_micros: number_in(record, "usage", "cost").unwrap_or(0),
        };
        self.used.add(used);
        let place = match self.operation_places.get(&record.span_id) {
            Some(place) => *place,
            None if self.operations.len() >= MOST_OPERATIONS => {
                self.more_operations += u64::from(record.kind == "operation.started");
                return;
            }
            None => {
                self.operations.push(OperationStory::of(record));
                let place = self.operations.len() - 1;
                self.operation_places.insert(record.span_id.clone(), place);
                place
            }
        };
        let operation = &mut self.operations[place];
        if record.kind == "operation.started" {
            operation.started = Some(at(record));
        } else {
            operation.ended = Some(at(record));
            operation.outcome = outcome(record);
            operation.error = text(record, "error").map(ToOwned::to_owned);
            operation.used = used;
        }
    }
}

/// The attempt that a record is about, in its place among the others.
fn in_order<'a>(
    attempts: &'a mut Vec<AttemptStory>,
    record: &EventRecord,
    most: usize,
) -> Option<&'a mut AttemptStory> {
    let number = record.attempt.unwrap_or(0);
    let place = attempts.partition_point(|attempt| attempt.number < number);
    if attempts
        .get(place)
        .is_none_or(|attempt| attempt.number != number)
    {
        if attempts.len() >= most {
            return None;
        }
        let attempt = AttemptStory {
            number,
            span_id: record.span_id.clone(),
            ..AttemptStory::default()
        };
        attempts.insert(place, attempt);
    }
    attempts.get_mut(place)
}

impl PartStory {
    fn add(&mut self, record: &EventRecord) {
        let at = at(record);
        match record.kind.as_str() {
            "part.answered" => self.answered = Some((at, Ending::of(record))),
            kind => match in_order(&mut self.attempts, record, MOST_PART_ATTEMPTS) {
                Some(attempt) if kind == "part.started" => attempt.started = Some(at),
                Some(attempt) => {
                    attempt.ended = Some(at);
                    attempt.ending = Ending::of(record);
                }
                None => self.more_attempts += u64::from(kind == "part.started"),
            },
        }
    }
}

impl OperationStory {
    fn of(record: &EventRecord) -> Self {
        Self {
            number: number(record, "number").unwrap_or(0),
            kind: text(record, "operation").unwrap_or("other").to_owned(),
            name: text(record, "name").unwrap_or_default().to_owned(),
            provider: text(record, "provider").map(ToOwned::to_owned),
            part: record.part.clone(),
            span_id: record.span_id.clone(),
            parent_span_id: record.parent_span_id.clone(),
            ..Self::default()
        }
    }
}

impl Ending {
    fn of(record: &EventRecord) -> Self {
        let word = |name| text(record, name).map(ToOwned::to_owned);
        Self {
            outcome: outcome(record),
            code: word("code"),
            class: word("class"),
            error: word("error"),
        }
    }
}
