//! What an output bag refuses.

use std::error::Error;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use crate::ids::excerpt;

/// A value that was not taken into an [`OutputBag`](crate::OutputBag).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputConflict {
    key: String,
    writer: String,
    attempt: NonZeroU32,
    problem: Problem,
}

/// Why it was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputConflictKind {
    /// The bag holds as many values as it may.
    Full,
    /// Another value is there already.
    Taken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Full(NonZeroUsize),
    Taken {
        writer: Arc<str>,
        attempt: NonZeroU32,
    },
}

impl OutputConflict {
    pub(super) fn new(key: &str, writer: &str, attempt: NonZeroU32, problem: Problem) -> Self {
        Self {
            key: excerpt(key),
            writer: excerpt(writer),
            attempt,
            problem,
        }
    }

    /// Why the value was not taken.
    #[must_use]
    pub fn kind(&self) -> OutputConflictKind {
        match self.problem {
            Problem::Full(_) => OutputConflictKind::Full,
            Problem::Taken { .. } => OutputConflictKind::Taken,
        }
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.problem {
            Problem::Taken { .. } => "SF0208",
            Problem::Full(_) => "SF0209",
        }
    }

    /// The key, cut to 64 characters.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Who came too late, cut to 64 characters.
    #[must_use]
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// In which attempt.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.attempt
    }

    /// Who wrote the value that stays, if the key is taken.
    #[must_use]
    pub fn first_writer(&self) -> Option<&str> {
        match &self.problem {
            Problem::Full(_) => None,
            Problem::Taken { writer, .. } => Some(writer),
        }
    }

    /// In which attempt the value that stays was written, if the key is taken.
    #[must_use]
    pub fn first_attempt(&self) -> Option<NonZeroU32> {
        match self.problem {
            Problem::Full(_) => None,
            Problem::Taken { attempt, .. } => Some(attempt),
        }
    }
}

impl fmt::Display for OutputConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            writer,
            attempt,
            ..
        } = self;
        write!(
            f,
            "{}: output `{key}` of `{writer}` (attempt {attempt}) was not taken: ",
            self.code()
        )?;
        match &self.problem {
            Problem::Full(capacity) => {
                write!(
                    f,
                    "the run holds {capacity} already, which is the most; record less, or raise the capacity"
                )
            }
            Problem::Taken { writer, attempt } => write!(
                f,
                "`{writer}` (attempt {attempt}) wrote it first and that value stays; write each key once, \
                 or put the writer's name into it"
            ),
        }
    }
}

impl Error for OutputConflict {}

/// A value that was asked for as another type than it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SF0216: output `{key}` of `{writer}` is a `{actual}`, not a `{asked}`; ask for the type that was written"
)]
pub struct OutputTypeError {
    key: String,
    writer: Arc<str>,
    actual: &'static str,
    asked: &'static str,
}

impl OutputTypeError {
    pub(super) fn new(
        key: &str,
        writer: &Arc<str>,
        actual: &'static str,
        asked: &'static str,
    ) -> Self {
        Self {
            key: excerpt(key),
            writer: Arc::clone(writer),
            actual,
            asked,
        }
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0216"
    }

    /// The name of the type it has.
    #[must_use]
    pub fn actual(&self) -> &'static str {
        self.actual
    }

    /// The name of the type that was asked for.
    #[must_use]
    pub fn asked(&self) -> &'static str {
        self.asked
    }
}
