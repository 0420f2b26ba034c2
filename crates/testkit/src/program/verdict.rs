//! Whether a run ended as it should have, given what became of its nodes.

use stageflow_context::Outcome;
use stageflow_executor::FailurePolicy;

use super::Stopper;
use super::check::{Checker, Given, ensure};

pub(super) fn check_run(checker: &Checker<'_>) -> Result<(), String> {
    let report = checker.report;
    let outcome = report.outcome();
    let may_be = possible(checker);
    ensure(may_be.contains(&outcome), || {
        format!("the run was {outcome}, and should be one of {may_be:?}")
    })?;
    let failed = report
        .stages()
        .filter(|stage| matches!(stage.outcome(), Outcome::Failed | Outcome::TimedOut))
        .count();
    ensure(report.errors().len() == failed, || {
        format!(
            "{failed} stages failed, and there are {} errors",
            report.errors().len()
        )
    })?;
    if outcome == Outcome::Failed {
        let primary = report
            .error()
            .map(|error| error.stage().to_string())
            .unwrap_or_default();
        let is_known = checker.failed.iter().any(|node| {
            primary == format!("n{node}") || primary.starts_with(&format!("n{node}-f"))
        });
        ensure(is_known, || {
            format!(
                "the run failed because of {primary:?}, not of one of {:?}",
                checker.failed
            )
        })?;
    }
    let stopped = matches!(outcome, Outcome::Cancelled | Outcome::TimedOut);
    ensure(!stopped || report.cancel_reason().is_some(), || {
        "it was stopped without a reason".to_owned()
    })
}

/// How the run may end.
fn possible(checker: &Checker<'_>) -> Vec<Outcome> {
    let gave = matches!(checker.given.last(), Some(Given::Value(..)));
    let mut possible = Vec::new();
    if !checker.failed.is_empty() {
        possible.push(Outcome::Failed);
    }
    if !checker.cancelled.is_empty() {
        possible.push(Outcome::Cancelled);
    }
    match checker.program.stopped {
        Some((_, Stopper::Deadline)) => possible.push(Outcome::TimedOut),
        Some((_, Stopper::Handle)) => possible.push(Outcome::Cancelled),
        None => {}
    }
    let failed_for_good = !checker.failed.is_empty()
        || (checker.program.policy != FailurePolicy::ContinueIndependent && checker.is_stopped());
    if checker.cancelled.is_empty() && !failed_for_good {
        possible.push(if gave {
            Outcome::Succeeded
        } else {
            Outcome::Skipped
        });
    }
    possible
}
