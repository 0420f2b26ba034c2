//! A sink that writes events to `tracing`.

use tracing::Level;

use crate::{Batch, EventKind, EventSink, Receipt, RunHeader};

/// Writes every event as a `tracing` event with the target `stageflow`: starts and notes at debug level, ends at info,
/// whatever failed at warn. Nothing is formatted if no subscriber wants it.
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
    let stage = kind
        .stage()
        .and_then(|stage| run.stage(stage))
        .map(|name| name.as_str());
    let part = kind.part().map(ToString::to_string);
    macro_rules! emit {
        ($level:expr, $($field:tt)*) => {{
            tracing::event!(
                target: "stageflow",
                $level,
                run = %run.identity().run_id(),
                correlation = %run.identity().correlation_id(),
                pipeline = run.pipeline(),
                seq,
                stage,
                part,
                attempt = kind.attempt(),
                $($field)*
            );
        }};
    }
    match kind {
        EventKind::Approval(change) => {
            let (path, by) = (&*change.path, change.by.as_deref());
            emit!(Level::INFO, path, approval = %change.id, state = %change.state, by = ?by, "approval");
        }
        EventKind::Budget(notice) => {
            emit!(Level::WARN, what = notice.kind.as_str(), line = %notice.line, "budget");
        }
        EventKind::CleanupEnded(ended) => match &ended.error {
            Some(error) => {
                emit!(Level::WARN, cleanup = %ended.name, outcome = %ended.outcome, error, "cleanup ended");
            }
            None => {
                emit!(Level::DEBUG, cleanup = %ended.name, outcome = %ended.outcome, "cleanup ended");
            }
        },
        EventKind::BlockingDetected { micros, .. } => emit!(
            Level::WARN,
            micros,
            "stage held the thread; place it with `.spawn()` or `.blocking()`"
        ),
        // Notes come from stages: as a debug-formatted value, a line break in one cannot forge a log line.
        EventKind::Note { note, .. } => {
            emit!(Level::DEBUG, note = %note.name(), payload = ?note.payload().to_string(), "note");
        }
        EventKind::OperationEnded(ended) => {
            let error = ended.end.error.as_deref();
            emit!(Level::DEBUG, operation = %ended.call.operation, outcome = %ended.end.outcome, error = ?error, "operation ended");
        }
        EventKind::OperationStarted(call) => {
            emit!(Level::DEBUG, operation = %call.operation, "operation started");
        }
        EventKind::PartAnswered(ended) => {
            let error = ended.error.as_ref().map(ToString::to_string);
            emit!(Level::DEBUG, outcome = %ended.outcome, error = ?error, "layer answered a part");
        }
        EventKind::PartEnded(ended) => match &ended.error {
            Some(error) => {
                emit!(Level::WARN, outcome = %ended.outcome, error = ?error.to_string(), "part ended");
            }
            None => emit!(Level::DEBUG, outcome = %ended.outcome, "part ended"),
        },
        EventKind::PartStarted { .. } => emit!(Level::DEBUG, "part started"),
        EventKind::RunEnded { outcome, reason } => {
            let reason = reason.as_ref().map(ToString::to_string);
            emit!(Level::INFO, outcome = %outcome, reason = ?reason, "run ended");
        }
        EventKind::RunStarted => emit!(Level::DEBUG, "run started"),
        EventKind::StageAnswered { outcome, error, .. } => {
            let error = error.as_ref().map(ToString::to_string);
            emit!(Level::INFO, outcome = %outcome, error = ?error, "layer answered");
        }
        EventKind::StageEnded {
            outcome,
            error: Some(error),
            ..
        } => {
            emit!(Level::WARN, outcome = %outcome, error = ?error.to_string(), "stage ended");
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
    }
}
