//! What a sound story of a run is.

mod operations;
mod parts;
mod rules;
mod said;
mod undo;

use std::collections::BTreeMap;
use std::time::Duration;

use stageflow_context::Outcome;
use stageflow_events::EventKind;
use stageflow_graph::{Plan, Presence, Role};

use self::operations::Operations;
use self::parts::Parts;
use self::undo::Undos;
pub use rules::{GrammarError, Rule, Violation};

use crate::Recorded;

/// Reads the events of one run in order and remembers every rule they break.
///
/// ```text
/// RunStarted ▸ { { StageStarted ▸ [Note | BlockingDetected | operation | part]* ▸ StageEnded }* [StageAnswered] | StageResolved | StageSkipped }* ▸ { UndoStarted ▸ UndoEnded }* ▸ [CleanupEnded]* ▸ RunEnded
/// part = { PartStarted ▸ [Note | operation | part]* ▸ PartEnded }* [PartAnswered]
/// operation = OperationStarted ▸ [everything that may stand here]* ▸ OperationEnded
/// ```
///
/// [`RecordingSink::check`](crate::RecordingSink::check) uses it on everything that was recorded.
#[derive(Debug, Default)]
pub struct EventGrammar {
    upstream: Option<Vec<Vec<Upstream>>>,
    roles: Option<Vec<Role>>,
    stages: BTreeMap<usize, Stage>,
    parts: Parts,
    operations: Operations,
    undos: Undos,
    next_seq: u64,
    at: Duration,
    begun: bool,
    ended: bool,
    cleaning: bool,
    /// Written out only if something is wrong.
    seen: Vec<Recorded>,
    violations: Vec<Violation>,
}

#[derive(Clone, Copy, Debug)]
struct Upstream {
    stage: usize,
    presence: Presence,
}

#[derive(Debug, Default)]
struct Stage {
    attempt: u32,
    is_open: bool,
    skipped: bool,
    answered: bool,
    resolved: bool,
    last: Option<Outcome>,
}

impl EventGrammar {
    /// Expects the first event of a run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks, too, that no stage starts before those it waits for have ended as it needs them to.
    #[must_use]
    pub fn of_plan(mut self, plan: &Plan) -> Self {
        let upstream = |stage: usize| {
            let stages = plan
                .upstream(stage)
                .iter()
                .map(|slot| *slot as usize)
                .filter(|slot| *slot != plan.input_slot());
            stages
                .map(|stage| Upstream {
                    stage,
                    presence: plan.options(stage).presence,
                })
                .collect()
        };
        self.undos = Undos::of_plan(plan);
        self.upstream = Some((0..plan.len()).map(upstream).collect());
        self.roles = Some((0..plan.len()).map(|stage| plan.role(stage)).collect());
        self
    }

    /// Reads the next event.
    pub fn observe(&mut self, recorded: &Recorded) {
        self.seen.push(recorded.clone());
        self.envelope(recorded);
        let index = recorded
            .event
            .kind()
            .stage()
            .map_or(usize::MAX, |stage| stage.as_usize());
        self.undoing(recorded.event.kind());
        match recorded.event.kind() {
            EventKind::RunStarted => {}
            EventKind::RunEnded { outcome, .. } => self.run_ended(*outcome),
            EventKind::StageStarted { attempt, .. } => self.stage_started(index, *attempt),
            EventKind::StageEnded {
                attempt, outcome, ..
            } => self.stage_ended(index, *attempt, *outcome),
            EventKind::StageAnswered { outcome, .. } => self.stage_answered(index, *outcome),
            EventKind::StageResolved { .. } => self.stage_resolved(index),
            EventKind::StageSkipped { because, .. } => {
                self.stage_skipped(index, because.as_usize());
            }
            EventKind::Note { attempt, note, .. } => match note.part() {
                None => self.note(index, *attempt),
                Some(part) => self.part_note(index, part, *attempt),
            },
            EventKind::PartStarted { part, attempt, .. } => {
                self.part_started(index, part, *attempt);
            }
            EventKind::OperationStarted(call) => self.operation_started(call),
            EventKind::OperationEnded(ended) => self.operation_ended(&ended.call),
            EventKind::PartEnded(ended) => {
                self.no_operation_in(index, Some(&ended.part));
                let complaint = self.parts.ended(index, &ended.part, ended.attempt);
                self.complain(complaint);
            }
            EventKind::PartAnswered(ended) => {
                let complaint = self.parts.answered(index, &ended.part);
                self.complain(complaint);
            }
            EventKind::BlockingDetected { .. } => self.blocking(index),
            EventKind::CleanupEnded(_) => self.cleaning = true,
            _ => {}
        }
    }

    /// The verdict, after the last event.
    ///
    /// # Errors
    ///
    /// [`GrammarError`] with every rule that was broken.
    pub fn finish(mut self) -> Result<(), GrammarError> {
        if !self.ended {
            self.broken(Rule::RunEndsOnce, "the last event is not `run.ended`");
        }
        if self.violations.is_empty() {
            return Ok(());
        }
        let transcript = self.seen.iter().map(ToString::to_string).collect();
        Err(GrammarError::new(self.violations, transcript))
    }

    fn envelope(&mut self, recorded: &Recorded) {
        let (seq, at) = (recorded.event.seq(), recorded.event.at());
        if seq != self.next_seq {
            self.broken(
                Rule::NoGaps,
                format!("number {} was expected", self.next_seq),
            );
        }
        self.next_seq = seq + 1;
        if at < self.at {
            self.broken(
                Rule::TimeGoesOn,
                format!("the event before was at {:?}", self.at),
            );
        }
        self.at = self.at.max(at);
        if self.ended {
            self.broken(Rule::RunEndsOnce, "the run had ended");
        }
        let starts = matches!(recorded.event.kind(), EventKind::RunStarted);
        if starts == self.begun {
            self.broken(
                Rule::RunStartsOnce,
                "`run.started` is the first event, and only the first",
            );
        }
        self.begun = true;
    }

    fn run_ended(&mut self, outcome: Outcome) {
        self.ended = true;
        self.no_operation_is_left();
        let open: Vec<usize> = self
            .stages
            .iter()
            .filter(|(_, stage)| stage.is_open)
            .map(|(index, _)| *index)
            .collect();
        for stage in open {
            self.broken(Rule::AttemptsEnd, format!("stage {stage} has not ended"));
        }
        // A layer may still have made something good of a failure; nothing makes good for a denial or a stop.
        let bad = |stage: &Stage| matches!(stage.last, Some(Outcome::Denied | Outcome::Cancelled));
        if outcome == Outcome::Succeeded && self.stages.values().any(bad) {
            self.broken(
                Rule::EndingsAgree,
                "a run does not succeed if a stage was denied or stopped",
            );
        }
    }

    fn stage_started(&mut self, index: usize, attempt: u32) {
        let stage = self.stages.entry(index).or_default();
        let (open, skipped, answered) = (stage.is_open, stage.skipped, stage.answered);
        let expected = stage.attempt + 1;
        (stage.is_open, stage.attempt) = (true, attempt);
        if open {
            self.broken(Rule::OneAttemptAtATime, "its attempt before is still open");
        }
        if attempt != expected {
            self.broken(
                Rule::AttemptsCount,
                format!("attempt {expected} was expected"),
            );
        }
        if skipped {
            self.broken(Rule::SkippedNeverStart, "it had been skipped");
        }
        if answered {
            self.broken(Rule::EndsAreLast, "its call had ended");
        }
        if self.cleaning {
            self.broken(Rule::CleanupsComeLast, "a cleanup had ended");
        }
        let missing: Vec<String> = self.missing(index);
        for missing in missing {
            self.broken(Rule::UpstreamFirst, missing);
        }
    }

    /// What the stage should have waited for.
    fn missing(&self, index: usize) -> Vec<String> {
        let Some(upstream) = self.upstream.as_ref().and_then(|rows| rows.get(index)) else {
            return Vec::new();
        };
        let complaint = |up: &Upstream| {
            let stage = self.stages.get(&up.stage);
            let ended = stage
                .filter(|stage| !stage.is_open)
                .and_then(|stage| stage.last);
            match (ended, up.presence) {
                (Some(Outcome::Succeeded), _) => None,
                _ if self.stood_in_for(up.stage) => None,
                (
                    Some(Outcome::Failed | Outcome::Skipped | Outcome::TimedOut),
                    Presence::Default | Presence::Optional,
                ) => None,
                (Some(outcome), _) => {
                    Some(format!("stage {}, which it needs, was {outcome}", up.stage))
                }
                (None, _) => Some(format!(
                    "stage {}, which it waits for, has not ended",
                    up.stage
                )),
            }
        };
        let mut complaints: Vec<String> = upstream.iter().filter_map(complaint).collect();
        let role = self.role(index);
        if let Some(Role::Fallback { of }) = role
            && !matches!(
                self.last(of as usize),
                Some(Outcome::Failed | Outcome::TimedOut)
            )
        {
            complaints.push(format!(
                "stage {of}, which it stands in for, has not failed"
            ));
        }
        if role.is_some_and(|role| !role.is_started()) {
            complaints.push("it is no stage that could be started".to_owned());
        }
        complaints
    }

    fn role(&self, index: usize) -> Option<Role> {
        self.roles.as_ref()?.get(index).copied()
    }

    fn last(&self, index: usize) -> Option<Outcome> {
        self.stages.get(&index)?.last
    }

    /// Whether a fallback has given a value in this stage's place.
    fn stood_in_for(&self, index: usize) -> bool {
        let next = index + 1;
        let of = index as u32;
        self.role(next) == Some(Role::Fallback { of })
            && (self.last(next) == Some(Outcome::Succeeded) || self.stood_in_for(next))
    }

    fn stage_ended(&mut self, index: usize, attempt: u32, outcome: Outcome) {
        let stage = self.stages.entry(index).or_default();
        let (open, expected, answered) = (stage.is_open, stage.attempt, stage.answered);
        stage.is_open = false;
        stage.last = Some(outcome);
        if !open || attempt != expected {
            self.broken(
                Rule::StartBeforeEnd,
                "there is no start that it could be the end of",
            );
        }
        self.no_operation_in(index, None);
        if self.parts.has_open(index) {
            self.broken(Rule::PartsLieInside, "a part of it is still open");
        }
        if answered {
            self.broken(Rule::EndsAreLast, "its call had ended");
        }
        if self.cleaning {
            self.broken(Rule::CleanupsComeLast, "a cleanup had ended");
        }
    }

    fn stage_answered(&mut self, index: usize, outcome: Outcome) {
        let stage = self.stages.entry(index).or_default();
        let (open, answered) = (stage.is_open, stage.answered);
        stage.answered = true;
        stage.last = Some(outcome);
        if open {
            self.broken(Rule::EndsAreLast, "its attempt is still open");
        }
        if answered {
            self.broken(Rule::EndsAreLast, "its call had ended");
        }
        if self.cleaning {
            self.broken(Rule::CleanupsComeLast, "a cleanup had ended");
        }
    }

    /// An arm, a merge or a join that got its value.
    fn stage_resolved(&mut self, index: usize) {
        let is_started = self.role(index).is_some_and(Role::is_started);
        let stage = self.stages.entry(index).or_default();
        let known = stage.skipped || stage.attempt > 0 || stage.resolved;
        stage.resolved = true;
        stage.last = Some(Outcome::Succeeded);
        if known || is_started {
            self.broken(
                Rule::ResolvedOnce,
                "only what is neither started nor skipped is resolved, and once",
            );
        }
        if self.cleaning {
            self.broken(Rule::CleanupsComeLast, "a cleanup had ended");
        }
    }

    /// Whether a stage may be skipped because of this one.
    fn may_be_the_cause(&self, index: usize, because: usize) -> bool {
        match (self.last(because), self.role(index)) {
            (Some(Outcome::Failed | Outcome::Skipped | Outcome::TimedOut), _) => true,
            // What its route did not take, what was not needed: as far as one can tell without the plan.
            (Some(Outcome::Succeeded), None) => because < index,
            (Some(Outcome::Succeeded), Some(Role::Arm { route, .. })) => route as usize == because,
            (Some(Outcome::Succeeded), Some(Role::Fallback { .. })) => true,
            _ => false,
        }
    }

    fn stage_skipped(&mut self, index: usize, because: usize) {
        let stage = self.stages.entry(index).or_default();
        let (skipped, started) = (stage.skipped, stage.attempt > 0 || stage.resolved);
        stage.skipped = true;
        stage.last = Some(Outcome::Skipped);
        if skipped {
            self.broken(Rule::SkippedNeverStart, "it had been skipped already");
        }
        if started {
            self.broken(Rule::SkippedNeverStart, "it had been started");
        }
        if !self.may_be_the_cause(index, because) {
            self.broken(
                Rule::EndingsAgree,
                "the stage it names has not ended in a way that could be the reason",
            );
        }
    }

    fn broken(&mut self, rule: Rule, detail: impl Into<String>) {
        let line = self
            .seen
            .last()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.violations.push(Violation {
            rule,
            line,
            detail: detail.into(),
        });
    }
}
