//! What is known of a run: grows while it runs, ends up in its report.

use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{DynValue, Outcome, StageError, StageIndex};
use stageflow_events::{CleanupEnded, EventKind};
use stageflow_graph::Plan;

use crate::buffer::EventBuffer;
use crate::engine::EngineInner;
use crate::machine::{Tick, Verdict};
use crate::shared::{RunShared, Said, What};

/// What happened to one stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) started: Tick,
    pub(crate) ended: Tick,
    pub(crate) attempts: u32,
    /// Where it sits while it is suspended.
    pub(crate) place: u32,
    /// `None` until it has ended.
    pub(crate) outcome: Option<Outcome>,
    /// How the last attempt ended, as far as events have told.
    pub(crate) told: Option<Outcome>,
}

impl Record {
    const BLANK: Self = Self { started: Tick::ZERO, ended: Tick::ZERO, attempts: 0, place: 0, outcome: None, told: None };
}

/// A stage that held the thread for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LongPoll {
    /// The stage.
    pub stage: StageIndex,
    /// For how long.
    pub held: Duration,
}

/// Everything that outlives the stages' futures.
pub(crate) struct RunData {
    pub(crate) shared: Arc<RunShared>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) engine: Arc<EngineInner>,
    pub(crate) values: Vec<Option<DynValue>>,
    pub(crate) records: Vec<Record>,
    pub(crate) errors: Vec<StageError>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) long_polls: Vec<LongPoll>,
    pub(crate) cleanups: Vec<CleanupEnded>,
    pub(crate) events: EventBuffer,
    pub(crate) verdict: Verdict,
    pub(crate) ended: Tick,
}

/// Why a stage was skipped.
#[derive(Clone, Debug)]
pub(crate) struct Skip {
    pub(crate) stage: u32,
    /// The stage that skipped first.
    pub(crate) because: u32,
    /// What that stage said; empty for stages further down.
    pub(crate) reason: Arc<str>,
}

impl RunData {
    pub(crate) fn new(shared: Arc<RunShared>, plan: Arc<Plan>, engine: Arc<EngineInner>, input: DynValue) -> Box<Self> {
        let mut values = vec![None; plan.slots()];
        values[plan.input_slot()] = Some(input);
        let events = EventBuffer::new(&shared, &plan, &engine);
        Box::new(Self {
            records: vec![Record::BLANK; plan.len()],
            values,
            shared,
            plan,
            engine,
            errors: Vec::new(),
            skips: Vec::new(),
            long_polls: Vec::new(),
            cleanups: Vec::new(),
            events,
            verdict: Verdict::Completed,
            ended: Tick::ZERO,
        })
    }

    /// Turns what was said outside the driver into events, in the order in which it was said.
    pub(crate) fn hear(&mut self, said: Vec<Said>) {
        for Said { at, stage, attempt, what } in said {
            let kind = match what {
                What::Note(note) => EventKind::Note { stage, attempt, note },
                What::Started => {
                    let record = &mut self.records[stage.as_usize()];
                    record.attempts = attempt;
                    record.told = None;
                    EventKind::StageStarted { stage, attempt }
                }
                What::Ended { outcome, error } => {
                    self.records[stage.as_usize()].told = Some(outcome);
                    EventKind::StageEnded { stage, attempt, outcome, error }
                }
            };
            self.events.push(at, kind);
        }
    }

    /// The last words: nothing is said after this.
    pub(crate) fn close(&mut self, now: Tick) {
        let said = self.shared.close();
        self.hear(said);
        self.ended = now;
        let reason = self.shared.cancel.reason().filter(|_| self.verdict != Verdict::Completed).cloned().map(Box::new);
        let outcome = self.outcome();
        self.events.push(self.ended, EventKind::RunEnded { outcome, reason });
        self.events.flush();
    }

    /// How the run ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.verdict {
            Verdict::Cancelled | Verdict::CancelledBy(_) => Outcome::Cancelled,
            Verdict::Denied(_) => Outcome::Denied,
            Verdict::Failed(_) => Outcome::Failed,
            Verdict::TimedOut => Outcome::TimedOut,
            // Without an output there was no success.
            Verdict::Completed if self.values[self.plan.output()].is_none() => Outcome::Skipped,
            Verdict::Completed => Outcome::Succeeded,
        }
    }
}
