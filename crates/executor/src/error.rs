//! Why a run has no output.

use std::error::Error;
use std::fmt;

use stageflow_context::{CancelReason, StageError, StageName};
use stageflow_interceptors::Refusal;

use crate::{PermissionError, PoolError};

/// Why a run has no output. The report it comes from has everything else: see [`RunReport`](crate::RunReport).
#[derive(Clone, Debug)]
pub struct RunError {
    pipeline: std::sync::Arc<str>,
    kind: RunErrorKind,
    /// A stage whose call was waiting in a layer at the end, and the layer.
    waiting: Option<(StageName, std::sync::Arc<str>)>,
    /// The stages that could not be undone.
    not_undone: Vec<StageName>,
}

/// The ways a run can end without an output.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// It was told to stop.
    Cancelled(CancelReason),
    /// A layer refused a stage.
    Denied(StageError),
    /// A stage failed.
    Failed(StageError),
    /// An admission did not let it in: nothing was started.
    NotAdmitted(Refusal),
    /// A stage needs what the engine does not have, so nothing was started. The report's errors name every such stage.
    Refused(Box<PoolError>),
    /// The stage that gives the output was skipped.
    Skipped {
        /// The stage that skipped first.
        stage: StageName,
        /// What it said.
        reason: String,
    },
    /// It took longer than it was given.
    TimedOut(CancelReason),
    /// A stage is only for those who are permitted something, and the engine has nobody who decides: nothing was started.
    Undecidable(Box<PermissionError>),
}

impl RunError {
    pub(crate) fn new(pipeline: std::sync::Arc<str>, kind: RunErrorKind) -> Self {
        Self {
            pipeline,
            kind,
            waiting: None,
            not_undone: Vec::new(),
        }
    }

    pub(crate) fn waiting_in(self, stage: StageName, layer: std::sync::Arc<str>) -> Self {
        Self {
            waiting: Some((stage, layer)),
            ..self
        }
    }

    pub(crate) fn not_undone(self, stages: Vec<StageName>) -> Self {
        Self {
            not_undone: stages,
            ..self
        }
    }

    /// The stages that should have been undone and could not be, the last one that did something first.
    #[must_use]
    pub fn stages_not_undone(&self) -> &[StageName] {
        &self.not_undone
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &RunErrorKind {
        &self.kind
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            RunErrorKind::Failed(_) => "SF0401",
            RunErrorKind::Cancelled(_) => "SF0402",
            RunErrorKind::TimedOut(_) => "SF0403",
            RunErrorKind::Denied(_) => "SF0404",
            RunErrorKind::Skipped { .. } => "SF0405",
            RunErrorKind::Refused(_) => "SF0409",
            RunErrorKind::NotAdmitted(_) => "SF0414",
            RunErrorKind::Undecidable(_) => "SF0415",
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: pipeline `{}` ", self.code(), self.pipeline)?;
        self.told(f)?;
        for (nth, stage) in self.not_undone.iter().enumerate() {
            let before = if nth == 0 { "; not undone: " } else { ", " };
            write!(f, "{before}`{stage}`")?;
        }
        if self.not_undone.is_empty() {
            return Ok(());
        }
        f.write_str(" (see `undos()` of the report)")
    }
}

impl RunError {
    /// How it ended, and what to do.
    fn told(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RunErrorKind::Cancelled(reason) => {
                write!(
                    f,
                    "was stopped: {reason}; take what was finished from the report"
                )
            }
            RunErrorKind::Denied(error) => write!(f, "was denied: {error}"),
            RunErrorKind::Failed(error) => write!(f, "failed: {error}"),
            RunErrorKind::NotAdmitted(refusal) => {
                let (by, cause) = (refusal.admission(), refusal.source());
                let cause = cause.map(ToString::to_string).unwrap_or_default();
                write!(f, "was not let in: admission `{by}`: {cause}")?;
                match refusal.retry_after() {
                    None => Ok(()),
                    Some(wait) => write!(f, "; ask again in {wait:?}"),
                }
            }
            RunErrorKind::Refused(error) => write!(f, "was not started: {}", error.sentence()),
            RunErrorKind::Undecidable(error) => write!(f, "was not started: {}", error.sentence()),
            RunErrorKind::Skipped { stage, reason } => write!(
                f,
                "has no output: stage `{stage}` skipped ({reason}); make it `.optional()` if the output can do without it"
            ),
            RunErrorKind::TimedOut(reason) if let Some((stage, layer)) = &self.waiting => {
                write!(
                    f,
                    "ran out of time: {reason}; stage `{stage}` was waiting in layer `{layer}`: give that a limit of its own, or raise the deadline"
                )
            }
            RunErrorKind::TimedOut(reason) => {
                write!(
                    f,
                    "ran out of time: {reason}; raise the deadline, or look for the slow stage in the report"
                )
            }
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            RunErrorKind::Denied(error) | RunErrorKind::Failed(error) => Some(error),
            RunErrorKind::NotAdmitted(refusal) => Some(refusal),
            RunErrorKind::Refused(error) => Some(&**error),
            RunErrorKind::Undecidable(error) => Some(&**error),
            RunErrorKind::Cancelled(_)
            | RunErrorKind::Skipped { .. }
            | RunErrorKind::TimedOut(_) => None,
        }
    }
}
