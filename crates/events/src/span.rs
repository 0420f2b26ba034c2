//! Which span an event belongs to.

use std::num::NonZeroU32;

use stageflow_context::{Part, RunIdentity, SpanId, StageIndex};

use crate::{EventKind, OperationStarted};

/// A span, and the one it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SpanPlace {
    /// The span.
    pub span: SpanId,
    /// The one around it; nothing is around the run of a trace that begins with it.
    pub parent: Option<SpanId>,
}

impl EventKind {
    /// The span that the event belongs to, of the run with this identity: the one it opens or closes, or the one it happened
    /// in.
    #[must_use]
    pub fn place(&self, run: &RunIdentity) -> SpanPlace {
        match self {
            Self::Budget(_)
            | Self::CleanupEnded(_)
            | Self::RunEnded { .. }
            | Self::RunStarted
            | Self::UndoEnded(_)
            | Self::UndoStarted { .. } => of_run(run),
            Self::BlockingDetected { stage, .. }
            | Self::StageAnswered { stage, .. }
            | Self::StageResolved { stage }
            | Self::StageSkipped { stage, .. } => of_stage(run, *stage),
            Self::StageEnded { stage, attempt, .. } | Self::StageStarted { stage, attempt } => {
                of_work(run, *stage, None, *attempt)
            }
            Self::Approval(change) => {
                of_work(run, change.stage, change.part.as_deref(), change.attempt)
            }
            Self::Audit(notice) => match (notice.stage(), notice.attempt()) {
                (Some(stage), Some(attempt)) => of_work(run, stage, None, attempt.get()),
                _ => of_run(run),
            },
            Self::Layer { stage, notice } => match (notice.part(), notice.attempt()) {
                (None, None) => of_stage(run, *stage),
                (part, attempt) => {
                    let attempt = attempt.map_or(0, NonZeroU32::get);
                    of_work(run, *stage, part.map(|part| &**part), attempt)
                }
            },
            Self::Note {
                stage,
                attempt,
                note,
            } => of_work(run, *stage, note.part().map(|part| &**part), *attempt),
            Self::PartAnswered(ended) | Self::PartEnded(ended) => {
                of_work(run, ended.stage, Some(&ended.part), ended.attempt)
            }
            Self::PartStarted {
                stage,
                attempt,
                part,
            } => of_work(run, *stage, Some(part), *attempt),
            Self::OperationEnded(ended) => of_operation(run, &ended.call),
            Self::OperationStarted(call) => of_operation(run, call),
        }
    }
}

fn of_run(run: &RunIdentity) -> SpanPlace {
    SpanPlace {
        span: run.run_span(),
        parent: run.span_id(),
    }
}

fn of_stage(run: &RunIdentity, stage: StageIndex) -> SpanPlace {
    SpanPlace {
        span: run.stage_span(stage),
        parent: Some(run.run_span()),
    }
}

fn of_work(run: &RunIdentity, stage: StageIndex, part: Option<&Part>, attempt: u32) -> SpanPlace {
    match part {
        None => SpanPlace {
            span: run.attempt_span(stage, attempt),
            parent: Some(run.stage_span(stage)),
        },
        Some(part) => SpanPlace {
            span: run.part_span(stage, part, attempt),
            parent: Some(run.span_around(stage, part)),
        },
    }
}

fn of_operation(run: &RunIdentity, call: &OperationStarted) -> SpanPlace {
    let around = call.within.map(|outer| run.operation_span(outer));
    let work = || match call.attempt {
        0 => run.run_span(),
        attempt => of_work(run, call.stage, call.part.as_deref(), attempt).span,
    };
    SpanPlace {
        span: run.operation_span(call.number),
        parent: Some(around.unwrap_or_else(work)),
    }
}
