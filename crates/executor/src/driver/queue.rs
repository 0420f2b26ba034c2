//! Stages that need what other runs may have: they are queued until it is theirs, and only then started.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Poll;

use stageflow_context::{BoxError, ErrorClass, Outcome, StageError, StageErrorKind, StageName};
use stageflow_interceptors::{CallState, drop_quietly};

use super::Driver;
use crate::machine::{Input, Verdict};
use crate::places::{Job, Polled, Work};
use crate::sabotage::Fault;
use crate::shared::RunShared;
use crate::slots::{Asked, Holding, Permit, RunSlots, Standing, Ticket};

/// What the stages of a run hold of what it shares with other runs.
pub(super) struct Counted {
    slots: Arc<RunSlots>,
    held: BTreeMap<u32, Arc<Holding>>,
    /// Stages that had their units when the run had no room for them.
    deferred: BTreeSet<u32>,
}

impl Counted {
    /// Nothing, if no stage of the run needs anything.
    pub(super) fn of(shared: &RunShared) -> Option<Box<Self>> {
        shared.slots.as_ref().map(|slots| {
            Box::new(Self {
                slots: Arc::clone(slots),
                held: BTreeMap::new(),
                deferred: BTreeSet::new(),
            })
        })
    }
}

impl Driver<'_> {
    /// Starts a stage, or queues it if it needs what it cannot have at once.
    #[inline]
    pub(super) fn admit(&mut self, stage: u32) {
        match &mut self.counted {
            None => self.start(stage),
            Some(_) => self.admit_counted(stage),
        }
    }

    fn admit_counted(&mut self, stage: u32) {
        let asked = self.counted.as_mut().and_then(|counted| {
            let standing = if counted.deferred.remove(&stage) {
                Standing::Returning
            } else {
                Standing::New
            };
            counted.slots.ask(stage, standing)
        });
        match asked {
            None => self.start(stage),
            Some(Asked::Granted(permit)) => self.start_with(stage, permit),
            Some(Asked::Queued(ticket)) => self.queue(stage, ticket),
        }
    }

    fn start_with(&mut self, stage: u32, permit: Permit) {
        if let Some(counted) = &mut self.counted {
            let holding = counted.slots.hold(stage, permit);
            counted.held.insert(stage, holding);
        }
        self.start(stage);
        // A stage that gave its value at once has ended without a word.
        if !self.machine.is_running(stage) {
            self.return_units(stage);
        }
    }

    fn queue(&mut self, stage: u32, ticket: Ticket) {
        self.machine.on(Input::Queued { stage }, self.now);
        let mut job = Job {
            stage,
            state: CallState::new(self.plan.options(stage as usize)),
            work: Work::Queued(Box::new(ticket)),
            stopped: None,
        };
        let place = self.places.take();
        match job.work.poll(&job.state, self.places.waker(place)) {
            Poll::Ready(Polled::Admitted(permit)) => {
                self.places.give_back(place);
                self.admitted(stage, permit);
            }
            _ => self.places.seat(place, job),
        }
    }

    /// A stage that was queued has its units. If the run is full they go on to others: they are not kept while the stage
    /// waits for its own run. It is then the first to be started.
    pub(super) fn admitted(&mut self, stage: u32, permit: Permit) {
        if self.machine.has_room() {
            self.machine.on(Input::Admitted { stage }, self.now);
            self.start_with(stage, permit);
            return;
        }
        drop(permit);
        if let Some(counted) = &mut self.counted {
            counted.deferred.insert(stage);
        }
        self.machine.on(Input::Deferred { stage }, self.now);
    }

    /// If a stage is queued at this place, it is never started. `false` if not.
    pub(super) fn withdraw(&mut self, place: u32) -> bool {
        let queued = self
            .places
            .job(place)
            .is_some_and(|job| matches!(job.work, Work::Queued(_)));
        if queued && let Some(job) = self.places.unseat(place) {
            let stage = job.stage;
            drop_quietly(job.work);
            self.machine.on(Input::Withdrawn { stage }, self.now);
        }
        queued
    }

    /// What a stage holds, for whatever of it may outlive its place.
    pub(super) fn units_of(&self, stage: u32) -> Option<Arc<Holding>> {
        self.counted.as_ref()?.held.get(&stage).cloned()
    }

    /// A stage has ended.
    #[inline]
    pub(super) fn return_units(&mut self, stage: u32) {
        if let Some(counted) = &mut self.counted {
            let held = counted.held.remove(&stage);
            let failed = self.data.records[stage as usize].told == Some(Outcome::Failed);
            if let Some(held) = held
                && failed
                && self.shared.engine.saboteur.strikes(Fault::LeakUnits)
            {
                held.leak();
            }
        }
    }

    /// Ends a run before anything starts that was not let in, or needs what the engine does not have. `true` if it is one.
    pub(super) fn refuse(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        if self.data.refusal.is_some() {
            self.machine.refuse(Verdict::NotAdmitted);
            return true;
        }
        let first = match (&shared.undecidable, shared.refusals.first()) {
            (Some(error), _) => error.stage(),
            (None, Some(refusal)) => refusal.stage(),
            (None, None) => return false,
        };
        if let Some(error) = &shared.undecidable {
            self.cannot_start(error.stage(), error.clone());
        }
        for refusal in &shared.refusals {
            self.cannot_start(refusal.stage(), refusal.clone());
        }
        let stage = self.plan.find(first).unwrap_or_default();
        self.machine.refuse(Verdict::Failed(stage as u32));
        true
    }

    fn cannot_start(&mut self, stage: &StageName, why: impl Into<BoxError>) {
        let kind = StageErrorKind::Failed(ErrorClass::Permanent);
        let error = StageError::new(stage.clone(), NonZeroU32::MIN, kind, why);
        self.data.errors.push(error);
    }
}
