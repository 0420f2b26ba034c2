//! What is known of a run: grows while it runs, ends up in its report.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    AuditNotice, CancelReason, DynValue, Outcome, OutputBag, OutputView, RunHost, StageCx,
    StageError, StageErrorKind, StageIndex, UndoCx,
};
use stageflow_events::{CleanupEnded, EventKind};
use stageflow_interceptors::{Ending, Refusal};

use crate::blocking::Blocking;
use crate::buffer::EventBuffer;
use crate::driver::at_least_one;
use crate::machine::{StageEnd, Tick, Verdict};
use crate::operations::OpenOperations;
use crate::parts::StageParts;
use crate::shared::{RunShared, Said, What};
use crate::stream::Tap;
use crate::undo::UndoReport;

/// What happened to one stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) started: Tick,
    pub(crate) ended: Tick,
    pub(crate) attempts: u32,
    /// Where it sits while it is suspended. Of a stage that was skipped: where its skip is.
    pub(crate) place: u32,
    /// `None` until it has ended.
    pub(crate) outcome: Option<Outcome>,
    /// How the last attempt ended, as far as events have told.
    pub(crate) told: Option<Outcome>,
}

impl Record {
    const BLANK: Self = Self {
        started: Tick::ZERO,
        ended: Tick::ZERO,
        attempts: 0,
        place: 0,
        outcome: None,
        told: None,
    };
}

/// Everything that outlives the stages' futures.
pub(crate) struct RunData {
    pub(crate) shared: Arc<RunShared>,
    pub(crate) values: Vec<Option<DynValue>>,
    pub(crate) records: Vec<Record>,
    pub(crate) errors: Vec<StageError>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) blocking: Vec<Blocking>,
    pub(crate) cleanups: Vec<CleanupEnded>,
    pub(crate) undos: Vec<UndoReport>,
    pub(crate) events: EventBuffer,
    pub(crate) verdict: Verdict,
    pub(crate) ended: Tick,
    /// As it was at the end: what a stage's clone of its context does later does not change the report.
    pub(crate) recorded: Option<OutputView>,
    pub(crate) refused_notes: u64,
    /// Stages whose call was dropped while it waited in a layer, and the layer.
    pub(crate) stopped_in: Vec<(u32, Arc<str>)>,
    pub(crate) reason: Option<CancelReason>,
    /// What was said at the door, until it is told.
    pub(crate) said: Vec<AuditNotice>,
    /// Why it was not let in, if it was not.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) parts: BTreeMap<u32, StageParts>,
    pub(crate) operations: OpenOperations,
}

/// Why a stage was skipped.
#[derive(Clone, Debug)]
pub(crate) struct Skip {
    pub(crate) stage: u32,
    /// The stage it is because of.
    pub(crate) because: u32,
    /// Why, in the words of that stage.
    pub(crate) reason: Arc<str>,
}

impl RunData {
    pub(crate) fn new(shared: Arc<RunShared>, input: DynValue) -> Box<Self> {
        let plan = &shared.plan;
        let mut values = vec![None; plan.slots()];
        values[plan.input_slot()] = Some(input);
        let events = EventBuffer::new(&shared);
        Box::new(Self {
            records: vec![Record::BLANK; plan.len()],
            values,
            shared,
            errors: Vec::new(),
            skips: Vec::new(),
            blocking: Vec::new(),
            cleanups: Vec::new(),
            undos: Vec::new(),
            events,
            verdict: Verdict::Completed,
            ended: Tick::ZERO,
            recorded: None,
            refused_notes: 0,
            stopped_in: Vec::new(),
            reason: None,
            said: Vec::new(),
            refusal: None,
            parts: BTreeMap::new(),
            operations: OpenOperations::new(),
        })
    }

    /// What the last attempt of a stage gave.
    pub(crate) fn given(&self, stage: u32) -> Option<DynValue> {
        let kept = self.shared.given(stage);
        kept.or_else(|| self.values.get(stage as usize)?.clone())
    }

    /// What an undo of a stage is handed.
    pub(crate) fn undo_cx(&self, stage: StageIndex, attempt: u32) -> UndoCx {
        let of_stage = at_least_one(self.records[stage.as_usize()].attempts);
        let host = Arc::clone(&self.shared) as Arc<dyn RunHost>;
        UndoCx::new(StageCx::new(host, stage, of_stage), at_least_one(attempt))
    }

    /// From now on the run is read: what it says goes to this tap as well.
    pub(crate) fn listen(&mut self, tap: Tap) -> bool {
        let tap = Arc::new(tap);
        let first = self.shared.set_tap(Arc::clone(&tap));
        if first {
            self.events.listen(tap);
        }
        first
    }

    /// Turns what was said outside the driver into events, in the order in which it was said.
    pub(crate) fn hear(&mut self, said: Vec<Said>) {
        for Said {
            at,
            stage,
            attempt,
            what,
        } in said
        {
            let kind = match what {
                What::Approval(change) => EventKind::Approval(change),
                What::Audit(notice) => EventKind::Audit(notice),
                What::Budget(notice) => EventKind::Budget(notice),
                What::Layer(notice) => EventKind::Layer { stage, notice },
                What::Note(note) => EventKind::Note {
                    stage,
                    attempt,
                    note,
                },
                What::Blocking(held) => {
                    self.blocking_detected(stage, held, at);
                    continue;
                }
                What::StoppedIn(layer) => {
                    self.stopped_in.push((stage.get(), layer));
                    continue;
                }
                What::Streamed(offer) => {
                    if let Some(tap) = self.shared.tap() {
                        tap.pass_on(*offer);
                    }
                    continue;
                }
                What::PartAnswered(ended) => EventKind::PartAnswered(ended),
                What::OperationEnded(ended) => {
                    self.operation_ended(ended.0, ended.1, at);
                    continue;
                }
                What::OperationStarted(call) => {
                    self.operation_started(call, at);
                    continue;
                }
                What::PartEnded(ended) => {
                    self.end_operations_in(stage, &ended.part, at);
                    EventKind::PartEnded(ended)
                }
                What::PartStarted(part) => EventKind::PartStarted {
                    stage,
                    attempt,
                    part,
                },
                What::Started => {
                    let record = &mut self.records[stage.as_usize()];
                    record.attempts = attempt;
                    record.told = None;
                    EventKind::StageStarted { stage, attempt }
                }
                What::Ended { outcome, error } => {
                    self.end_operations_of(stage, at);
                    self.records[stage.as_usize()].told = Some(outcome);
                    EventKind::StageEnded {
                        stage,
                        attempt,
                        outcome,
                        error,
                    }
                }
            };
            self.events.push_loose(at, kind);
        }
    }

    /// A stage has held the thread for too long.
    #[cold]
    pub(crate) fn blocking_detected(&mut self, stage: StageIndex, held: Duration, now: Tick) {
        /// Enough to tell who holds the thread.
        const MOST: usize = 64;

        let micros = u32::try_from(held.as_micros()).unwrap_or(u32::MAX);
        self.events
            .push_loose(now, EventKind::BlockingDetected { stage, micros });
        if self.blocking.len() < MOST {
            self.blocking.push(Blocking { stage, held });
            tracing::warn!(
                target: "stageflow",
                stage = self.shared.plan.names()[stage.as_usize()].as_str(),
                ?held,
                "stage held the thread that drives the run; place it with `.spawn()` or `.blocking()`"
            );
        }
    }

    /// An attempt has ended: what the layers around it make of that comes later.
    pub(crate) fn attempt_ended(&mut self, stage: u32, ending: &Ending, now: Tick) {
        self.end_operations_of(StageIndex::new(stage), now);
        let record = &mut self.records[stage as usize];
        if record.attempts > 0 {
            let outcome = ending.outcome();
            record.told = Some(outcome);
            let (stage, attempt, error) = (
                StageIndex::new(stage),
                record.attempts,
                ending.error().cloned(),
            );
            self.events.push(
                now,
                EventKind::StageEnded {
                    stage,
                    attempt,
                    outcome,
                    error,
                },
            );
        }
    }

    /// A stage has ended, layers and all: keeps the value, or why there is none.
    pub(crate) fn conclude(&mut self, stage: u32, ending: Ending, now: Tick) -> StageEnd {
        let ending = self.checked(stage, ending);
        let outcome = ending.outcome();
        let record = &mut self.records[stage as usize];
        record.ended = now;
        record.outcome = Some(outcome);
        if record.told != Some(outcome) {
            // A layer answered, refused, or made something else of the last attempt.
            let (stage, error) = (StageIndex::new(stage), ending.error().cloned());
            self.events.push(
                now,
                EventKind::StageAnswered {
                    stage,
                    outcome,
                    error,
                },
            );
        }
        self.settle(stage, ending)
    }

    /// A value that a layer put in must be of the stage's type: those that read it rely on it.
    fn checked(&self, stage: u32, ending: Ending) -> Ending {
        let index = stage as usize;
        match ending {
            Ending::Succeeded(value)
                if value.type_id_of_value() != self.shared.plan.value_type(index) =>
            {
                let wanted = self.shared.plan.value_type_name(index);
                let reason = format!("a layer made it a value that is not a `{wanted}`");
                let attempt =
                    NonZeroU32::new(self.records[index].attempts).unwrap_or(NonZeroU32::MIN);
                let name = self.shared.plan.names()[index].clone();
                Ending::Failed(StageError::new(
                    name,
                    attempt,
                    StageErrorKind::WrongAnswer,
                    reason,
                ))
            }
            ending => ending,
        }
    }

    fn settle(&mut self, stage: u32, ending: Ending) -> StageEnd {
        let ending = self.spoilt(stage, ending);
        let name = || self.shared.plan.names()[stage as usize].clone();
        match ending {
            Ending::Succeeded(value) => {
                self.values[stage as usize] = Some(value);
                StageEnd::Succeeded
            }
            Ending::Denied(error) => {
                self.shared
                    .cancel
                    .cancel(CancelReason::Denied { stage: name() });
                self.errors.push(error);
                StageEnd::Denied
            }
            Ending::Failed(error) => {
                self.errors.push(error);
                StageEnd::Failed
            }
            Ending::Skipped(reason) => {
                self.push_skip(Skip {
                    stage,
                    because: stage,
                    reason,
                });
                StageEnd::Skipped
            }
            Ending::CancelRun(reason) => {
                self.shared.cancel.cancel(CancelReason::StageAsked {
                    stage: name(),
                    reason,
                });
                StageEnd::CancelledRun
            }
            _ => StageEnd::Interrupted,
        }
    }

    /// Writes down why a stage is skipped, where it is found again at once.
    pub(crate) fn push_skip(&mut self, skip: Skip) {
        self.records[skip.stage as usize].place = self.skips.len() as u32;
        self.skips.push(skip);
    }

    /// Why a stage was skipped, if it was.
    pub(crate) fn skip_of(&self, stage: u32) -> Option<&Skip> {
        let place = self.records.get(stage as usize)?.place;
        self.skips
            .get(place as usize)
            .filter(|skip| skip.stage == stage)
    }

    /// The last words: nothing is said after this.
    pub(crate) fn close(&mut self, now: Tick) {
        let said = self.shared.close();
        self.hear(said);
        self.end_all_operations(now);
        if self.shared.parts.get().is_some() {
            self.parts = self.shared.book().take();
        }
        self.ended = now;
        let reason = self
            .shared
            .cancel
            .reason()
            .filter(|_| self.verdict != Verdict::Completed)
            .cloned();
        self.reason.clone_from(&reason);
        let outcome = self.outcome();
        self.events.push(
            self.ended,
            EventKind::RunEnded {
                outcome,
                reason: reason.map(Box::new),
            },
        );
        self.events.finish();
        self.recorded = self.shared.recorded().map(OutputBag::view);
        self.refused_notes = self.shared.refused_notes();
    }

    /// How the run ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.verdict {
            Verdict::Cancelled | Verdict::CancelledBy(_) => Outcome::Cancelled,
            Verdict::Denied(_) => Outcome::Denied,
            Verdict::Failed(_) => Outcome::Failed,
            Verdict::NotAdmitted => {
                let refusal = self.refusal.as_ref();
                refusal.map_or(Outcome::Failed, |refusal| refusal.kind().outcome())
            }
            Verdict::TimedOut => Outcome::TimedOut,
            // Without an output there was no success.
            Verdict::Completed if self.values[self.shared.plan.output()].is_none() => {
                Outcome::Skipped
            }
            Verdict::Completed => Outcome::Succeeded,
        }
    }
}
