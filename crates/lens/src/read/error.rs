//! A journal that cannot be read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use stageflow_context::BoxError;
use stageflow_events::{WIRE_VERSION, journal};

use super::LONGEST_LINE;

/// A journal, or a line of one, that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {place}{why}", self.code())]
pub struct ReadError {
    kind: ReadErrorKind,
    place: Place,
    why: String,
    source: Option<BoxError>,
}

/// Why a journal, or a line of one, cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The file cannot be opened or read.
    File,
    /// A line is no record.
    Line,
    /// The last line breaks off: whoever wrote it was stopped.
    Torn,
    /// A record is of a version that is not known here.
    Version,
}

#[derive(Clone, Debug, Default)]
struct Place {
    path: Option<PathBuf>,
    line: u64,
}

impl ReadError {
    fn new(kind: ReadErrorKind, why: String, source: Option<BoxError>) -> Self {
        Self {
            kind,
            place: Place::default(),
            why,
            source,
        }
    }

    pub(super) fn file(error: io::Error) -> Self {
        let why =
            format!("the journal cannot be read: {error}; check the path, and who may read it");
        Self::new(ReadErrorKind::File, why, Some(error.into()))
    }

    pub(super) fn too_long() -> Self {
        let why = format!(
            "this line is no record of an event: it is longer than {LONGEST_LINE} bytes; check that the file is a journal"
        );
        Self::new(ReadErrorKind::Line, why, None)
    }

    pub(super) fn line(error: journal::ReadError) -> Self {
        let said = said(&error);
        let why = format!(
            "this line is no record of an event: {said}; check that the file is a journal, and unchanged"
        );
        Self::new(ReadErrorKind::Line, why, Some(error.into()))
    }

    pub(super) fn torn(error: journal::ReadError) -> Self {
        let said = said(&error);
        let why = format!(
            "the last line breaks off: {said}; use the lines before it: whoever wrote it was stopped there"
        );
        Self::new(ReadErrorKind::Torn, why, Some(error.into()))
    }

    pub(super) fn version(version: u32) -> Self {
        let why = format!(
            "a record of version {version}, and version {WIRE_VERSION} is known here; read the journal with the program that \
             belongs to it"
        );
        Self::new(ReadErrorKind::Version, why, None)
    }

    pub(super) fn at(self, path: Option<&Path>, line: u64) -> Self {
        let path = path.map(ToOwned::to_owned);
        Self {
            place: Place { path, line },
            ..self
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> ReadErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            ReadErrorKind::File => "SF0551",
            ReadErrorKind::Line | ReadErrorKind::Torn => "SF0552",
            ReadErrorKind::Version => "SF0553",
        }
    }

    /// The file, if it was read from one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.place.path.as_deref()
    }

    /// The line, from 1; 0 if it is about the file.
    #[must_use]
    pub fn line_number(&self) -> u64 {
        self.place.line
    }
}

/// What is wrong with the line, in the words of whoever read it.
fn said(error: &journal::ReadError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| "it has another form".to_owned(), ToString::to_string)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.line) {
            (None, 0) => Ok(()),
            (None, line) => write!(f, "line {line}: "),
            (Some(path), 0) => write!(f, "{}: ", path.display()),
            (Some(path), line) => write!(f, "{}:{line}: ", path.display()),
        }
    }
}
