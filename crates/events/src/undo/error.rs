//! Why records do not tell how far undoing has come.

use std::error::Error;
use std::fmt;

/// Records do not tell how far the undoing of a run has come. Nothing is guessed: what is undone twice, or not at all, may
/// cost more than a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoPlanError {
    run_id: String,
    kind: UndoPlanErrorKind,
}

/// What is wrong with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UndoPlanErrorKind {
    /// There is none of the run's start, which says what can be undone.
    NoStart,
    /// The record with this number is missing.
    Missing(u64),
    /// The record with this number is about undoing, and does not say what it has to.
    Unclear(u64),
}

impl UndoPlanError {
    pub(super) fn new(run_id: &str, kind: UndoPlanErrorKind) -> Self {
        Self {
            run_id: run_id.to_owned(),
            kind,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> UndoPlanErrorKind {
        self.kind
    }

    /// The run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0413"
    }
}

impl fmt::Display for UndoPlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, run) = (self.code(), &self.run_id);
        write!(
            f,
            "{code}: the records of run {run} do not tell what is left to undo: "
        )?;
        match self.kind {
            UndoPlanErrorKind::NoStart => f.write_str("its `run.started` is missing"),
            UndoPlanErrorKind::Missing(seq) => write!(f, "number {seq} is missing"),
            UndoPlanErrorKind::Unclear(seq) => {
                write!(f, "number {seq} does not say how the undoing went")
            }
        }?;
        f.write_str("; take them from a sink that has lost none, such as the journal")
    }
}

impl Error for UndoPlanError {}
