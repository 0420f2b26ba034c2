//! Holds a report against the oracle: the outcome and its reason, every stage, every error.

use stageflow::context::{CancelReason, StageErrorKind};
use stageflow::events::EventKind;
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::oracle::Prediction;

use super::bench::REASON;
use super::case::{End, Mode};
use super::check::Check;
use crate::Breach;
use crate::ledger::effects::What;

impl Check<'_> {
    /// How the run ended, and why.
    pub(super) fn verdict(&self, report: &RunReport<u64>, prediction: &Prediction) {
        let outcome = report.outcome();
        self.holds(
            outcome == prediction.outcome,
            "a run ends as the oracle says",
            Breach::WrongStatus,
            || format!("{outcome}, not {}", prediction.outcome),
        );
        let wanted = self.reason(prediction);
        let reason = report.cancel_reason().cloned();
        self.holds(
            reason == wanted,
            "the first reason stays",
            Breach::WrongStatus,
            || format!("{reason:?}, not {wanted:?}"),
        );
        let kind = report.output().map_err(|error| error.kind().clone());
        let fits = match (&kind, prediction.outcome) {
            (Ok(value), Outcome::Succeeded) => {
                Some(**value) == prediction.stages[self.built.case.spec.output].value
            }
            (Err(RunErrorKind::Cancelled(why)), Outcome::Cancelled)
            | (Err(RunErrorKind::TimedOut(why)), Outcome::TimedOut) => wanted.as_ref() == Some(why),
            (Err(RunErrorKind::Failed(error)), Outcome::Failed) => {
                report.error().map(StageError::stage) == Some(error.stage())
            }
            (Err(RunErrorKind::Skipped { .. }), Outcome::Skipped) => true,
            _ => false,
        };
        self.holds(
            fits && report.is_success() == (prediction.outcome == Outcome::Succeeded),
            "there is an output if and only if the run succeeded",
            Breach::WrongStatus,
            || format!("{kind:?} for {}", prediction.outcome),
        );
        if let Some((first, second)) = self.done.stopped.and_then(|stopped| stopped.told) {
            let was_first = matches!(wanted, Some(CancelReason::Requested(_)));
            let right = !second && (first || !was_first);
            self.holds(
                right,
                "only the first cancel counts",
                Breach::WrongStatus,
                || format!("the first call was told {first}, the second {second}"),
            );
        }
    }

    fn reason(&self, prediction: &Prediction) -> Option<CancelReason> {
        let case = &self.built.case;
        let name = |stage: usize| self.built.pipeline.plan().names()[stage].clone();
        let asked = case
            .parts
            .iter()
            .position(|part| part.mode == Mode::CancelRun);
        match (prediction.outcome, case.end) {
            (Outcome::Failed, _) => {
                prediction
                    .errors
                    .first()
                    .map(|stage| CancelReason::StageFailed {
                        stage: name(*stage),
                    })
            }
            (Outcome::TimedOut, End::Deadline(after)) => Some(CancelReason::DeadlineElapsed(
                std::time::Duration::from_millis(after.into()),
            )),
            (Outcome::Cancelled, end) => match (asked, end) {
                (Some(stage), _) if prediction.stages[stage].ended < Some(self.outside_end()) => {
                    Some(CancelReason::StageAsked {
                        stage: name(stage),
                        reason: format!("injected into s{stage}").into(),
                    })
                }
                _ => Some(CancelReason::requested(REASON)),
            },
            _ => None,
        }
    }

    fn outside_end(&self) -> u64 {
        match self.built.case.end {
            End::Itself => u64::MAX,
            End::Cancel(after) | End::Deadline(after) | End::Drop(after) => after.into(),
        }
    }

    /// The run did not end by itself: it was cancelled, for the first reason.
    pub(super) fn was_cancelled(&self) {
        let Some(report) = &self.done.report else {
            return;
        };
        let reason = report.cancel_reason();
        let right = reason == Some(&CancelReason::requested(REASON))
            && report.outcome() == Outcome::Cancelled
            && self.done.stopped.and_then(|stopped| stopped.told) == Some((true, false));
        self.holds(
            right || self.done.stopped.is_none(),
            "a run that was cancelled says so",
            Breach::WrongStatus,
            || format!("{} because of {reason:?}", report.outcome()),
        );
    }

    /// Every stage: how it ended, when, and its value, which is there if and only if it was finished.
    pub(super) fn stages(&self, report: &RunReport<u64>, prediction: &Prediction) {
        let all = report.stages().len() == prediction.stages.len();
        self.holds(
            all,
            "the report has every stage, however the run ended",
            Breach::Lost,
            || format!("{} stages", report.stages().len()),
        );
        for (at, (stage, wanted)) in report.stages().zip(&prediction.stages).enumerate() {
            let optional = self.built.case.spec.stages[at].optional;
            let found = report.value_of(stage.name().as_str());
            let value = found.and_then(|value| match optional {
                true => value.downcast_ref::<Option<u64>>().copied().flatten(),
                false => value.downcast_ref::<u64>().copied(),
            });
            self.holds(
                value == wanted.value,
                "finished outputs are kept, unfinished ones are not there",
                Breach::Lost,
                || format!("s{at} has {value:?}, not {:?}", wanted.value),
            );
            self.holds(
                stage.outcome() == wanted.outcome,
                "every stage ends as the oracle says",
                Breach::WrongStatus,
                || format!("s{at} is {}, not {}", stage.outcome(), wanted.outcome),
            );
            let millis = |at: Option<std::time::Duration>| at.map(|at| at.as_millis() as u64);
            let times = (millis(stage.started()), millis(stage.ended()));
            let skipped = wanted.outcome == Outcome::Skipped && wanted.started.is_none();
            self.holds(
                skipped || times == (wanted.started, wanted.ended),
                "every stage starts and ends when the oracle says",
                Breach::BrokenOrder,
                || format!("s{at}: {times:?}, not {:?}", (wanted.started, wanted.ended)),
            );
            let calls = u32::from(wanted.started.is_some() && self.is_called(at));
            // Inside layers that wait, it may be stopped before its turn comes.
            let late = self.built.case.layered
                && (self.built.case.parts[at].around.is_some()
                    || !self.built.case.spec.stages[at].is_inline());
            self.holds(
                stage.attempts() == calls || (late && stage.attempts() <= calls),
                "a stage is called once, or not at all",
                Breach::Duplicated,
                || format!("s{at}: {} attempts, not {calls}", stage.attempts()),
            );
            let said = wanted
                .because
                .map(|because| format!("injected into s{because}"));
            self.holds(
                stage.skip_reason().map(str::to_owned) == said,
                "a skip carries the reason of the stage that skipped first",
                Breach::WrongStatus,
                || format!("s{at}: {:?}, not {said:?}", stage.skip_reason()),
            );
        }
    }

    fn is_called(&self, stage: usize) -> bool {
        self.built.case.parts[stage].mode != Mode::Malformed
    }

    /// Every error: of the stage into which it was injected, of the kind that was injected, the primary one first.
    pub(super) fn errors(&self, report: &RunReport<u64>, prediction: &Prediction) {
        let name = |stage: &usize| self.built.case.spec.stages[*stage].name();
        let wanted: Vec<String> = prediction.errors.iter().map(name).collect();
        let found: Vec<&str> = report
            .errors()
            .iter()
            .map(|error| error.stage().as_str())
            .collect();
        self.holds(
            found == wanted,
            "failures are blamed on the stages that failed, the first one first",
            Breach::WrongStatus,
            || format!("{found:?}, not {wanted:?}"),
        );
        for (error, stage) in report.errors().iter().zip(&prediction.errors) {
            let mode = self.built.case.parts[*stage].mode;
            let limit = self.built.case.spec.stages[*stage].limit.unwrap_or(0);
            self.holds(
                is_of(error, mode, limit) && error.attempt().get() == 1,
                "a failure is told as it was",
                Breach::WrongStatus,
                || format!("{error} for {mode:?}"),
            );
            let said = error.to_string();
            let own = !matches!(
                mode,
                Mode::Timeout | Mode::Idle | Mode::Hang | Mode::Malformed
            );
            self.holds(
                said.contains(&format!("`s{stage}`"))
                    && (!own || said.contains(&format!("injected into s{stage}"))),
                "an error says what went wrong, and where",
                Breach::MessageQuality,
                || said.clone(),
            );
        }
        let primary = report
            .error()
            .map(|error| error.stage().as_str().to_owned());
        let failed = prediction.outcome == Outcome::Failed;
        self.holds(
            primary == wanted.first().filter(|_| failed).cloned(),
            "the error that decides is the primary one",
            Breach::WrongStatus,
            || format!("{primary:?} of {wanted:?}"),
        );
    }

    /// The same from the events alone: all there is if the run was dropped.
    pub(super) fn stages_by_events(&self, prediction: &Prediction) {
        let mut told = vec![None; prediction.stages.len()];
        for recorded in self.bench.sink.all() {
            match recorded.event.kind() {
                EventKind::StageEnded { stage, outcome, .. }
                | EventKind::StageAnswered { stage, outcome, .. } => {
                    told[stage.as_usize()] = Some(*outcome);
                }
                EventKind::StageSkipped { stage, .. } => {
                    told[stage.as_usize()] = Some(Outcome::Skipped);
                }
                _ => {}
            }
        }
        for (at, (told, wanted)) in told.into_iter().zip(&prediction.stages).enumerate() {
            let started = wanted.started.is_some() || wanted.outcome == Outcome::Skipped;
            self.holds(
                told == Some(wanted.outcome).filter(|_| started),
                "events tell of every stage what became of it",
                Breach::WrongStatus,
                || format!("s{at}: {told:?}, not {}", wanted.outcome),
            );
        }
    }

    /// What stages have done says how they must have ended: for clocks that run.
    pub(super) fn stages_by_effects(&self, report: &RunReport<u64>) {
        let effects = self.built.books.effects.all();
        let mut values: Vec<Option<u64>> = Vec::new();
        for (at, stage) in report.stages().enumerate() {
            let did = |what| {
                effects
                    .iter()
                    .any(|done| done.stage == at && done.what == what)
            };
            let (started, gave) = (did(What::Started), did(What::Gave));
            let spec = &self.built.case.spec;
            let upstream: Vec<_> = spec.stages[at]
                .upstream
                .iter()
                .map(|up| values[*up])
                .collect();
            let wanted = gave.then(|| spec.value(at, &upstream));
            let found = report.value_of(stage.name().as_str());
            let value = found.and_then(|value| match spec.stages[at].optional {
                true => value.downcast_ref::<Option<u64>>().copied().flatten(),
                false => value.downcast_ref::<u64>().copied(),
            });
            values.push(wanted);
            self.holds(
                value == wanted && gave == (stage.outcome() == Outcome::Succeeded),
                "what a stage gave is in the report, and nothing else",
                Breach::Lost,
                || {
                    format!(
                        "s{at} is {} with {value:?}, not {wanted:?}",
                        stage.outcome()
                    )
                },
            );
            self.holds(
                !started || stage.attempts() == 1,
                "a stage that was called is reported as called",
                Breach::WrongStatus,
                || format!("s{at}: {} attempts", stage.attempts()),
            );
        }
    }
}

fn is_of(error: &StageError, mode: Mode, limit: u32) -> bool {
    let limit = std::time::Duration::from_millis(limit.into());
    *error.kind()
        == match mode {
            Mode::Error => StageErrorKind::Failed(ErrorClass::Permanent),
            Mode::Fail => StageErrorKind::Failed(ErrorClass::Transient),
            Mode::Panic => StageErrorKind::Panicked(ErrorClass::Permanent),
            Mode::Timeout | Mode::Hang => StageErrorKind::TimedOut(limit),
            Mode::Idle => StageErrorKind::IdleTimedOut(limit),
            Mode::Malformed => StageErrorKind::WrongAnswer,
            Mode::Retry => StageErrorKind::RetryRefused,
            Mode::Ok | Mode::CancelRun | Mode::Skip => return false,
        }
}
