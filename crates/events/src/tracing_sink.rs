//! A sink that writes events to `tracing`.

use std::borrow::Cow;

use serde_json::Value;
use stageflow_context::{CancelReason, Outcome, StageError};
use tracing::Level;

use crate::{Batch, EventKind, EventSink, Receipt, RunHeader, UndoState, one_line};

/// Where the events of this sink come from, as `tracing` has it.
#[cfg(feature = "log-lines")]
pub(crate) const HERE: &str = module_path!();

/// Writes every event as a `tracing` event with the target `stageflow`: starts and notes at debug level, ends at info,
/// whatever failed at warn. Nothing is formatted if no subscriber wants it.
///
/// Each has all ids, in fields that are named as those of [`EventRecord`](crate::EventRecord). Texts are without secrets, as
/// the run's [`Redaction`](crate::Redaction) has it, and in one line: nothing that a stage says can end the line or look like
/// a field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingSink;

impl TracingSink {
    /// A sink; all of them are alike.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl EventSink for TracingSink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        for event in &batch.events {
            write(&batch.run, event.seq(), event.kind());
        }
        Receipt::new(batch.events.len() as u64, 0)
    }
}

fn write(run: &RunHeader, seq: u64, kind: &EventKind) {
    let identity = run.identity();
    // Texts are given as `&str`: subscribers quote those, so that none can look like another field.
    macro_rules! emit {
        ($level:expr, $($field:tt)*) => {{
            tracing::event!(
                target: "stageflow",
                $level,
                run_id = %identity.run_id(),
                correlation_id = %identity.correlation_id(),
                request_id = identity.request_id().map(display),
                session_id = identity.session_id().map(display),
                user_id = identity.user_id().map(display),
                org_id = identity.org_id().map(display),
                interaction_id = identity.interaction_id().map(display),
                pipeline = run.pipeline(),
                stage = stage(run, kind),
                part = kind.part().map(|part| line(run.redaction().part(part))),
                attempt = kind.attempt(),
                trace_id = %identity.trace(),
                span_id = %kind.place(identity).span,
                parent_span_id = kind.place(identity).parent.map(display),
                seq,
                $($field)*
            );
        }};
    }
    match kind {
        EventKind::Approval(change) => {
            let by = || change.by.as_deref().map(|by| run.redaction().line(by));
            emit!(Level::INFO, path = &*name(run, &change.path), approval = %change.id, state = %change.state, by = by().as_deref(), "approval");
        }
        EventKind::Budget(notice) => {
            let line = || name(run, &notice.line.budget);
            emit!(
                Level::WARN,
                what = notice.kind.as_str(),
                budget = &*line(),
                dimension = notice.line.dimension.as_str(),
                limit = notice.line.limit,
                used = notice.line.used,
                asked = notice.line.asked,
                "budget"
            );
        }
        EventKind::CleanupEnded(ended) => {
            let (told, error) = (|| run.redaction().line(&ended.name), ended.error.as_deref());
            let error = || error.map(|error| run.redaction().line(error));
            if ended.outcome == Outcome::Succeeded {
                emit!(Level::DEBUG, cleanup = &*told(), outcome = %ended.outcome, "cleanup ended");
            } else {
                emit!(Level::WARN, cleanup = &*told(), outcome = %ended.outcome, error = error().as_deref(), "cleanup ended");
            }
        }
        EventKind::BlockingDetected { micros, .. } => emit!(
            Level::WARN,
            micros,
            "stage held the thread; place it with `.spawn()` or `.blocking()`"
        ),
        EventKind::Audit(notice) => {
            emit!(
                Level::INFO,
                notice = &**notice.name(),
                payload = payload(run, notice.payload()),
                "audit"
            );
        }
        EventKind::Layer { notice, .. } => {
            emit!(
                Level::INFO,
                notice = &**notice.name(),
                payload = payload(run, notice.payload()),
                "layer"
            );
        }
        EventKind::Note { note, .. } => {
            emit!(
                Level::DEBUG,
                note = &**note.name(),
                payload = payload(run, note.payload()),
                "note"
            );
        }
        EventKind::OperationEnded(ended) => {
            let called = || name(run, ended.call.operation.name());
            let error = || {
                ended
                    .end
                    .error
                    .as_deref()
                    .map(|error| run.redaction().line(error))
            };
            emit!(Level::DEBUG, operation = ended.call.operation.kind().as_str(), called = &*called(), outcome = %ended.end.outcome, error = error().as_deref(), "operation ended");
        }
        EventKind::OperationStarted(call) => {
            let called = || name(run, call.operation.name());
            emit!(
                Level::DEBUG,
                operation = call.operation.kind().as_str(),
                called = &*called(),
                "operation started"
            );
        }
        EventKind::PartAnswered(ended) => {
            emit!(Level::DEBUG, outcome = %ended.outcome, error = error(run, ended.error.as_ref()), "layer answered a part");
        }
        EventKind::PartEnded(ended) => match &ended.error {
            Some(failed) => {
                emit!(Level::WARN, outcome = %ended.outcome, error = error(run, Some(failed)), "part ended");
            }
            None => emit!(Level::DEBUG, outcome = %ended.outcome, "part ended"),
        },
        EventKind::PartStarted { .. } => emit!(Level::DEBUG, "part started"),
        EventKind::RunEnded { outcome, reason } => {
            emit!(Level::INFO, outcome = %outcome, reason = why(run, reason.as_deref()), "run ended");
        }
        EventKind::RunStarted => emit!(Level::DEBUG, "run started"),
        EventKind::StageAnswered {
            outcome,
            error: failed,
            ..
        } => {
            emit!(Level::INFO, outcome = %outcome, error = error(run, failed.as_ref()), "layer answered");
        }
        EventKind::StageEnded {
            outcome,
            error: Some(failed),
            ..
        } => {
            emit!(Level::WARN, outcome = %outcome, error = error(run, Some(failed)), "stage ended");
        }
        EventKind::StageEnded {
            outcome,
            error: None,
            ..
        } => emit!(Level::INFO, outcome = %outcome, "stage ended"),
        EventKind::StageResolved { .. } => emit!(Level::DEBUG, "stage resolved"),
        EventKind::StageSkipped { because, .. } => {
            let because = run.stage(*because).map(|name| name.as_str());
            emit!(Level::INFO, because, "stage skipped");
        }
        EventKind::StageStarted { .. } => emit!(Level::DEBUG, "stage started"),
        EventKind::UndoEnded(ended) => {
            let error = ended.error.as_deref();
            let error = || error.map(|error| run.redaction().line(error));
            match ended.state {
                UndoState::Undone => {
                    emit!(Level::INFO, outcome = %ended.outcome, state = %ended.state, "undo ended");
                }
                UndoState::Failed => {
                    emit!(Level::ERROR, outcome = %ended.outcome, state = %ended.state, error = error().as_deref(), "undo ended");
                }
                _ => {
                    emit!(Level::WARN, outcome = %ended.outcome, state = %ended.state, error = error().as_deref(), "undo ended");
                }
            }
        }
        EventKind::UndoStarted { .. } => emit!(Level::DEBUG, "undo started"),
    }
}

fn stage<'a>(run: &'a RunHeader, kind: &EventKind) -> Option<&'a str> {
    let name = kind.stage().and_then(|stage| run.stage(stage))?;
    Some(name.as_str())
}

fn error(run: &RunHeader, error: Option<&StageError>) -> Option<String> {
    error.map(|error| line(run.redaction().error(error)))
}

fn why(run: &RunHeader, reason: Option<&CancelReason>) -> Option<String> {
    reason.map(|reason| line(run.redaction().reason(reason)))
}

fn name<'a>(run: &RunHeader, name: &'a str) -> Cow<'a, str> {
    one_line(run.redaction().name(name))
}

fn payload(run: &RunHeader, payload: &Value) -> String {
    let mut json = run.redaction().value(payload).into_owned();
    // A program may have `serde_json` keep the order in which keys came.
    json.sort_all_objects();
    line(json.to_string())
}

fn line(text: String) -> String {
    one_line(text.into()).into_owned()
}
