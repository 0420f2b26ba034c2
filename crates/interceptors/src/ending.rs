//! How a call of a stage ended, as layers see it and may change it.

use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow_context::{
    BoxError, CancelReason, DynValue, ErrorClass, Outcome, StageError, StageErrorKind, StageName,
    Stop, StopKind,
};

/// How a call ended. Every ending reaches every layer that was entered, also panics, timeouts and cancellation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// The stage asked to cancel the run, with this reason.
    CancelRun(Arc<str>),
    /// A layer refused the call.
    Denied(StageError),
    /// It failed: an error, a panic, a timeout.
    Failed(StageError),
    /// The run ended before the call did.
    Interrupted(CancelReason),
    /// There was nothing to do, for this reason.
    Skipped(Arc<str>),
    /// It gave this value.
    Succeeded(DynValue),
}

impl Ending {
    /// What a stage's own result amounts to.
    #[inline]
    #[must_use]
    pub fn from_result(
        result: Result<DynValue, Stop>,
        stage: &StageName,
        attempt: NonZeroU32,
    ) -> Self {
        match result {
            Ok(value) => Self::Succeeded(value),
            Err(stop) => Self::from_stop(stop, |kind, source| {
                StageError::new(stage.clone(), attempt, kind, source)
            }),
        }
    }

    #[cold]
    pub(crate) fn from_stop(
        stop: Stop,
        error: impl Fn(StageErrorKind, BoxError) -> StageError,
    ) -> Self {
        match stop.into_kind() {
            StopKind::Ended(error) if *error.kind() == StageErrorKind::Denied => {
                Self::Denied(error)
            }
            StopKind::Ended(error) => Self::Failed(error),
            StopKind::Skip(reason) => Self::Skipped(reason.into()),
            StopKind::Cancel(reason) => Self::CancelRun(reason.into()),
            StopKind::Interrupted(reason) => Self::Interrupted(reason),
            StopKind::Fail { class, source } => {
                Self::Failed(error(StageErrorKind::Failed(class), source))
            }
            StopKind::Retry { after, reason } => {
                let source = match after {
                    Some(after) => format!("{reason} (not before {after:?} have passed)"),
                    None => reason,
                };
                let error = error(StageErrorKind::RetryRefused, source.into());
                Self::Failed(match after {
                    Some(after) => error.retry_in(after),
                    None => error,
                })
            }
            other => Self::Failed(error(
                StageErrorKind::Failed(ErrorClass::Permanent),
                format!("{other:?}").into(),
            )),
        }
    }

    /// What the part of a stage that ended like this gives to the stage.
    ///
    /// # Errors
    ///
    /// A [`Stop`] that keeps everything: an error stays the error that it is.
    pub fn into_result(self) -> Result<DynValue, Stop> {
        Err(match self {
            Self::Succeeded(value) => return Ok(value),
            Self::CancelRun(reason) => Stop::cancel(&*reason),
            Self::Denied(error) | Self::Failed(error) => StopKind::Ended(error).into(),
            Self::Interrupted(reason) => StopKind::Interrupted(reason).into(),
            Self::Skipped(reason) => Stop::skip(&*reason),
        })
    }

    /// What it is called in events and reports.
    #[inline]
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::CancelRun(_) | Self::Interrupted(_) => Outcome::Cancelled,
            Self::Denied(_) => Outcome::Denied,
            Self::Failed(error) => match error.kind() {
                StageErrorKind::TimedOut(_) | StageErrorKind::IdleTimedOut(_) => Outcome::TimedOut,
                _ => Outcome::Failed,
            },
            Self::Skipped(_) => Outcome::Skipped,
            Self::Succeeded(_) => Outcome::Succeeded,
        }
    }

    /// What went wrong, if something did.
    #[inline]
    #[must_use]
    pub fn error(&self) -> Option<&StageError> {
        match self {
            Self::Denied(error) | Self::Failed(error) => Some(error),
            Self::CancelRun(_) | Self::Interrupted(_) | Self::Skipped(_) | Self::Succeeded(_) => {
                None
            }
        }
    }
}
