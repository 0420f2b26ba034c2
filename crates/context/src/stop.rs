//! How a stage stops without an output.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{CancelReason, ErrorClass, StageError};

/// Any error, boxed: what [`Stop`] and [`StageError`](crate::StageError) carry as their cause.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why a stage gives no output: it skips, cancels the run, fails, or asks to be tried again.
///
/// Any [`std::error::Error`] turns into a permanent failure, so `?` works on all of them; [`ResultExt::transient`] marks
/// those worth another attempt.
///
/// ```
/// use stageflow_context::{ResultExt, Stop};
///
/// fn read(path: &str) -> Result<String, Stop> {
///     if path.is_empty() {
///         return Err(Stop::skip("no path"));
///     }
///     let text = std::fs::read_to_string(path).transient()?;
///     Ok(text)
/// }
/// # assert!(read("").is_err());
/// ```
// `Stop` does not implement `Error`: that is what lets `From` take every type that does.
pub struct Stop(Box<StopKind>);

/// What kind of [`Stop`] it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum StopKind {
    /// Cancel the whole run, gracefully: neither a failure nor a success.
    Cancel(String),
    /// A part of the stage's work ended with this error, which becomes the stage's own: a denial stays a denial, a timeout a
    /// timeout.
    Ended(StageError),
    /// Fail this attempt.
    Fail {
        /// Whether another attempt could help.
        class: ErrorClass,
        /// What went wrong.
        source: BoxError,
    },
    /// The run was cancelled, and the stage noticed.
    Interrupted(CancelReason),
    /// Try again; without a layer that retries this is a transient failure.
    Retry {
        /// The least time to wait before the next attempt, if the stage knows one.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// There is nothing to do: dependents are skipped too, unless the handle is optional.
    Skip(String),
}

impl Stop {
    /// Nothing to do, and not a failure. Dependents are skipped with the same reason.
    pub fn skip(reason: impl Into<String>) -> Self {
        StopKind::Skip(reason.into()).into()
    }

    /// Ends the whole run as cancelled, keeping every finished output.
    pub fn cancel(reason: impl Into<String>) -> Self {
        StopKind::Cancel(reason.into()).into()
    }

    /// Fails for good: another attempt would fail the same way.
    pub fn fail(source: impl Into<BoxError>) -> Self {
        StopKind::Fail {
            class: ErrorClass::Permanent,
            source: source.into(),
        }
        .into()
    }

    /// Fails, and another attempt might succeed.
    pub fn transient(source: impl Into<BoxError>) -> Self {
        StopKind::Fail {
            class: ErrorClass::Transient,
            source: source.into(),
        }
        .into()
    }

    /// Asks for another attempt.
    pub fn retry(reason: impl Into<String>) -> Self {
        StopKind::Retry {
            after: None,
            reason: reason.into(),
        }
        .into()
    }

    /// Asks for another attempt, not before `after` has passed.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        StopKind::Retry {
            after: Some(after),
            reason: reason.into(),
        }
        .into()
    }

    /// What kind of stop it is.
    #[must_use]
    pub fn kind(&self) -> &StopKind {
        &self.0
    }

    /// Takes the stop apart.
    #[must_use]
    pub fn into_kind(self) -> StopKind {
        *self.0
    }
}

impl From<StopKind> for Stop {
    fn from(kind: StopKind) -> Self {
        Self(Box::new(kind))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Stop {
    fn from(source: E) -> Self {
        Self::fail(source)
    }
}

/// What it says, in a line.
impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            StopKind::Cancel(reason) => write!(f, "cancel the run: {reason}"),
            StopKind::Ended(error) => error.fmt(f),
            StopKind::Fail { source, .. } => source.fmt(f),
            StopKind::Interrupted(reason) => write!(f, "interrupted: {reason}"),
            StopKind::Retry { reason, .. } => write!(f, "try again: {reason}"),
            StopKind::Skip(reason) => write!(f, "skip: {reason}"),
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Says of an error whether another attempt could help.
pub trait ResultExt<T> {
    /// The error may go away: worth another attempt.
    ///
    /// # Errors
    ///
    /// The error as a transient [`Stop`].
    fn transient(self) -> Result<T, Stop>;

    /// The error is there to stay. This is what a plain `?` says too.
    ///
    /// # Errors
    ///
    /// The error as a permanent [`Stop`].
    fn permanent(self) -> Result<T, Stop>;
}

impl<T, E: Into<BoxError>> ResultExt<T> for Result<T, E> {
    fn transient(self) -> Result<T, Stop> {
        self.map_err(Stop::transient)
    }

    fn permanent(self) -> Result<T, Stop> {
        self.map_err(Stop::fail)
    }
}
