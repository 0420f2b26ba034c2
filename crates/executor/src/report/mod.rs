//! The truth at the end: one shape for every ending.

mod stage;
mod undo;

pub use self::stage::StageReport;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    Budget, CancelReason, DynValue, Outcome, OutputView, RunHost as _, RunId, RunIdentity,
    StageError, StageIndex, StageName,
};
use stageflow_events::CleanupEnded;
use stageflow_graph::{Handle, Overlay, Role, StageMark};

use crate::blocking::Blocking;
use crate::buffer::EventCounts;
use crate::data::{Record, RunData};
use crate::machine::Verdict;
use crate::{RunError, RunErrorKind};

/// What happened in a run: how it ended, every finished output, every error, every stage's times. The same shape for
/// success, failure, cancellation, timeout, denial and panic.
pub struct RunReport<O> {
    data: Box<RunData>,
    output: PhantomData<fn() -> O>,
}

impl<O: Send + Sync + 'static> RunReport<O> {
    /// The run's output.
    ///
    /// # Errors
    ///
    /// [`RunError`] with the reason if there is none.
    pub fn output(&self) -> Result<&O, RunError> {
        let value = self.data.values[self.data.shared.plan.output()].as_ref();
        match (self.outcome(), value.and_then(DynValue::downcast_ref)) {
            (Outcome::Succeeded, Some(output)) => Ok(output),
            _ => Err(self.run_error()),
        }
    }

    /// The run's output, without the report.
    ///
    /// # Errors
    ///
    /// [`RunError`] with the reason if there is none.
    pub fn into_output(self) -> Result<Arc<O>, RunError> {
        let value = self.data.values[self.data.shared.plan.output()].as_ref();
        match (self.outcome(), value.and_then(DynValue::downcast)) {
            (Outcome::Succeeded, Some(output)) => Ok(output),
            _ => Err(self.run_error()),
        }
    }
}

impl<O> RunReport<O> {
    pub(crate) fn new(data: Box<RunData>) -> Self {
        Self {
            data,
            output: PhantomData,
        }
    }

    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.data.outcome()
    }

    /// Whether the run succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.outcome() == Outcome::Succeeded
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.identity().run_id()
    }

    /// Who and which run.
    #[must_use]
    pub fn identity(&self) -> &RunIdentity {
        self.data.shared.identity()
    }

    /// The pipeline's name.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        self.data.shared.plan.name()
    }

    /// The run's own level of the budget it was given, if it was given one: what it spent, and what was left.
    #[must_use]
    pub fn budget(&self) -> Option<&Budget> {
        self.data.shared.budget()
    }

    /// From the start of the run to its end, cleanups included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.data.ended.elapsed()
    }

    /// The value of a stage, also if the run did not succeed. `None` if the stage gave none, or the handle belongs to another
    /// pipeline.
    #[must_use]
    pub fn value<T: Send + Sync + 'static>(&self, handle: Handle<T>) -> Option<Arc<T>> {
        self.data
            .values
            .get(self.data.shared.plan.slot_of(handle)?)?
            .as_ref()?
            .downcast()
    }

    /// The value of the stage called `name`, also if the run did not succeed.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<&DynValue> {
        self.data.values[self.data.shared.plan.find(name)?].as_ref()
    }

    /// All stages, in the order of declaration.
    #[must_use]
    pub fn stages(&self) -> impl ExactSizeIterator<Item = StageReport<'_>> {
        (0..self.data.shared.plan.len()).map(|index| StageReport {
            data: &self.data,
            index,
        })
    }

    /// The stage called `name`.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<StageReport<'_>> {
        self.data.shared.plan.find(name).map(|index| StageReport {
            data: &self.data,
            index,
        })
    }

    /// The stage at this place, as [`Blocking`] and [`CleanupEnded`] name it.
    #[must_use]
    pub fn stage_at(&self, place: StageIndex) -> Option<StageReport<'_>> {
        let index = place.as_usize();
        (index < self.data.shared.plan.len()).then_some(StageReport {
            data: &self.data,
            index,
        })
    }

    /// Every error of every stage, also those the run could do without. If the run failed, the one that decided it is first;
    /// the others follow in the order in which they happened.
    #[must_use]
    pub fn errors(&self) -> &[StageError] {
        &self.data.errors
    }

    /// The error that decided how the run ended, if one did.
    #[must_use]
    pub fn error(&self) -> Option<&StageError> {
        match self.data.verdict {
            Verdict::Denied(_) | Verdict::Failed(_) => self.data.errors.first(),
            Verdict::Cancelled
            | Verdict::CancelledBy(_)
            | Verdict::Completed
            | Verdict::NotAdmitted
            | Verdict::TimedOut => None,
        }
    }

    /// Why the run was told to stop, if it was.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&CancelReason> {
        self.data.reason.as_ref()
    }

    /// The cleanups that were registered, in the order in which they ended.
    #[must_use]
    pub fn cleanups(&self) -> &[CleanupEnded] {
        &self.data.cleanups
    }

    /// The values that stages recorded beside their outputs.
    #[must_use]
    pub fn recorded(&self) -> Option<&OutputView> {
        self.data.recorded.as_ref()
    }

    /// What became of the run's events.
    #[must_use]
    pub fn events(&self) -> EventCounts {
        EventCounts {
            refused_notes: self.data.refused_notes,
            ..self.data.events.counts()
        }
    }

    /// Stages that held the thread for too long, at most 64 of them.
    #[must_use]
    pub fn blocking(&self) -> &[Blocking] {
        &self.data.blocking
    }

    /// The stages that decided how long the run took: from a root to the one that ended last, each the last one its
    /// successor waited for.
    #[must_use]
    pub fn critical_path(&self) -> Vec<&StageName> {
        self.critical_stages()
            .into_iter()
            .rev()
            .map(|stage| &self.data.shared.plan.names()[stage])
            .collect()
    }

    /// The run over its pipeline, for drawings.
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        let mark = |stage: StageReport<'_>| {
            let mark = StageMark::new(stage.outcome());
            if stage.attempts() > 0 {
                mark.took(stage.duration())
            } else {
                mark
            }
        };
        let lines = self
            .stages()
            .filter_map(|stage| Some((stage.index, stage.parts_line()?)));
        Overlay::new(self.stages().map(mark).collect())
            .with_critical_path(&self.critical_stages())
            .with_lines(lines)
    }

    /// The run drawn over its pipeline, as a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self) -> String {
        self.overlay().mermaid(&self.data.shared.plan)
    }

    /// The run drawn over its pipeline, as a Graphviz digraph.
    #[must_use]
    pub fn dot(&self) -> String {
        self.overlay().dot(&self.data.shared.plan)
    }

    /// From the one that ended last back to a root, as they are found.
    fn critical_stages(&self) -> Vec<usize> {
        let records = &self.data.records;
        let ran = |stage: &usize| {
            records.get(*stage).is_some_and(|record: &Record| {
                record.attempts > 0
                    || (record.outcome == Some(Outcome::Succeeded)
                        && !self.data.shared.plan.role(*stage).is_started())
            })
        };
        let last = |stages: &mut dyn Iterator<Item = usize>| {
            stages
                .filter(ran)
                .max_by_key(|stage| (records[*stage].ended, std::cmp::Reverse(*stage)))
        };
        let mut path = Vec::new();
        let mut at = last(&mut (0..records.len()));
        while let Some(stage) = at {
            path.push(stage);
            at = last(&mut self.waited_for(stage).into_iter());
        }
        path
    }

    /// What a stage has waited for. Branches that ended after their join was decided are not among them; in the place of a stage
    /// that failed is the one that stood in for it.
    fn waited_for(&self, stage: usize) -> Vec<usize> {
        let plan = &self.data.shared.plan;
        let started = self.data.records[stage].started;
        if let Role::Fallback { of } = plan.role(stage) {
            return vec![of as usize];
        }
        let gave = |stage: usize| {
            let stand_in =
                std::iter::successors(Some(stage), |stage| plan.fallback(*stage)).find(|stage| {
                    self.data
                        .records
                        .get(*stage)
                        .and_then(|record| record.outcome)
                        == Some(Outcome::Succeeded)
                });
            stand_in.unwrap_or(stage)
        };
        let upstream = plan.upstream(stage).iter();
        upstream
            .map(|slot| gave(*slot as usize))
            .filter(|up| {
                self.data
                    .records
                    .get(*up)
                    .is_some_and(|record| record.ended <= started)
            })
            .collect()
    }

    fn run_error(&self) -> RunError {
        let reason = || self.data.reason.clone().unwrap_or(CancelReason::Shutdown);
        if let Some(refusal) = self.data.shared.refusals.first() {
            let kind = RunErrorKind::Refused(Box::new(refusal.clone()));
            return RunError::new(Arc::clone(self.data.shared.plan.name()), kind);
        }
        if let Some(error) = &self.data.shared.undecidable {
            let kind = RunErrorKind::Undecidable(Box::new(error.clone()));
            return RunError::new(Arc::clone(self.data.shared.plan.name()), kind);
        }
        let kind = match (self.data.verdict, self.data.errors.first()) {
            (Verdict::NotAdmitted, _) if let Some(refusal) = &self.data.refusal => {
                RunErrorKind::NotAdmitted(refusal.clone())
            }
            (Verdict::Failed(_), Some(error)) => RunErrorKind::Failed(error.clone()),
            (Verdict::Denied(_), Some(error)) => RunErrorKind::Denied(error.clone()),
            (Verdict::TimedOut, _) => RunErrorKind::TimedOut(reason()),
            (Verdict::Completed, _) => self.skipped(),
            _ => RunErrorKind::Cancelled(reason()),
        };
        let error = RunError::new(Arc::clone(self.data.shared.plan.name()), kind)
            .not_undone(self.not_undone().cloned().collect());
        match self.data.stopped_in.first() {
            None => error,
            Some((stage, layer)) => {
                let stage = self.data.shared.plan.names()[*stage as usize].clone();
                error.waiting_in(stage, Arc::clone(layer))
            }
        }
    }

    fn skipped(&self) -> RunErrorKind {
        let output = self.data.shared.plan.output();
        let skip = StageReport {
            data: &self.data,
            index: output,
        }
        .skip();
        // A route, a success or a failure may be what it is because of: then the stage itself is the one that skipped.
        let origin = skip
            .filter(|skip| self.data.skip_of(skip.because).is_some())
            .map_or(output, |skip| skip.because as usize);
        let reason = skip.map_or("", |skip| &*skip.reason);
        RunErrorKind::Skipped {
            stage: self.data.shared.plan.names()[origin].clone(),
            reason: reason.to_owned(),
        }
    }
}

impl<O> fmt::Debug for RunReport<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunReport")
            .field("run", &self.id())
            .field("pipeline", &self.pipeline())
            .field("outcome", &self.outcome())
            .field("errors", &self.errors())
            .finish_non_exhaustive()
    }
}
