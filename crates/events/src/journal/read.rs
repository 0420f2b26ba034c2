//! Reading the records of a journal again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use stageflow_context::mismatch;

use super::control::Control;
use super::folder;
use super::lines::{Lines, MAX_LINE, Read};
use crate::{CloudEvent, EventRecord, WIRE_VERSION};

/// The records of a file, or of all files of a journal's folder, in order. It reads line by line, holds one at a time, and
/// takes both forms of lines. Unknown fields are left out. Any file with one [`EventRecord`] a line will do.
///
/// A line that cannot be read is an item of its own; the next call goes on behind it. After an error of the operating system
/// the iterator ends.
///
/// ```no_run
/// use stageflow_events::journal;
///
/// for record in journal::read("/var/log/shop") {
///     let record = record?;
///     println!("{} {}", record.run_id, record.kind);
/// }
/// # Ok::<(), journal::ReadError>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Records {
    let path = path.as_ref();
    let (files, failed) = match folder::files(path) {
        Ok(files) => (files, None),
        Err(error) => (Vec::new(), Some(ReadError::io(path, 0, error))),
    };
    Records {
        files: files.into_iter(),
        open: None,
        failed,
    }
}

/// The records of a journal; made by [`read`].
#[derive(Debug)]
#[must_use = "nothing is read until it is asked for"]
pub struct Records {
    files: std::vec::IntoIter<PathBuf>,
    open: Option<(PathBuf, Lines)>,
    failed: Option<ReadError>,
}

impl Iterator for Records {
    type Item = Result<EventRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let Some((path, lines)) = &mut self.open else {
                let path = self.files.next()?;
                match Lines::open(&path) {
                    Ok(lines) => self.open = Some((path, lines)),
                    Err(error) => self.fail(ReadError::io(&path, 0, error)),
                }
                continue;
            };
            let read = lines.next();
            let number = lines.number;
            let error = |kind| Some(Err(ReadError::new(kind, path, number)));
            match read {
                Ok(Read::End) => self.open = None,
                Ok(Read::Line) if Control::of(&lines.bytes).is_some() => {}
                Ok(Read::Line) => {
                    return Some(parse(&lines.bytes).map_err(|error| error.at(path, number)));
                }
                Ok(Read::Torn) => return error(ReadErrorKind::Torn),
                Ok(Read::TooLong) => return error(ReadErrorKind::TooLong),
                Err(error) => {
                    let error = ReadError::io(path, number, error);
                    self.fail(error);
                }
            }
        }
    }
}

impl Records {
    fn fail(&mut self, error: ReadError) {
        self.files = Vec::new().into_iter();
        self.open = None;
        self.failed = Some(error);
    }
}

/// The record in one line of a journal, in either form, or nothing if the line is the journal's own: for programs that get
/// lines from elsewhere than files.
///
/// # Errors
///
/// [`ReadErrorKind::Malformed`] or [`ReadErrorKind::Newer`], without a file and with 0 as the line.
pub fn read_line(line: &[u8]) -> Result<Option<EventRecord>, ReadError> {
    match Control::of(line) {
        Some(_) => Ok(None),
        None => parse(line).map(Some),
    }
}

/// The files that a path stands for: itself, or those of the journal in that folder, the oldest first.
///
/// # Errors
///
/// What the operating system says if it cannot be looked at.
pub fn files(path: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    folder::files(path.as_ref())
}

/// The record that a line is.
fn parse(line: &[u8]) -> Result<EventRecord, ReadError> {
    // serde quotes values, which may be secrets.
    let malformed = |error: serde_json::Error| ReadError {
        source: Some(mismatch(&error).into()),
        ..ReadError::new(ReadErrorKind::Malformed, Path::new(""), 0)
    };
    let version: Version = serde_json::from_slice(line).map_err(malformed)?;
    let version = version.version.or(version.wireversion).unwrap_or_default();
    if version > WIRE_VERSION {
        let kind = ReadErrorKind::Newer { version };
        return Err(ReadError::new(kind, Path::new(""), 0));
    }
    match serde_json::from_slice(line) {
        Ok(record) => Ok(record),
        Err(error) => match serde_json::from_slice::<CloudEvent>(line) {
            Ok(event) => event
                .to_record()
                .ok_or_else(|| ReadError::new(ReadErrorKind::Malformed, Path::new(""), 0)),
            Err(_) => Err(malformed(error)),
        },
    }
}

#[derive(serde::Deserialize)]
struct Version {
    version: Option<u32>,
    wireversion: Option<u32>,
}

/// A line that is no record, or a file that cannot be read.
#[derive(Debug)]
pub struct ReadError {
    kind: ReadErrorKind,
    file: PathBuf,
    line: u64,
    source: Option<stageflow_context::BoxError>,
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The file cannot be opened or read.
    Io,
    /// It is not JSON, or a field that each record has is missing.
    Malformed,
    /// It was written in a later version of the form.
    Newer {
        /// In which.
        version: u32,
    },
    /// It is longer than 64 MiB.
    TooLong,
    /// The file ends in the middle of it: it is being written just now, or a crash cut it short.
    Torn,
}

impl ReadError {
    fn new(kind: ReadErrorKind, file: &Path, line: u64) -> Self {
        Self {
            kind,
            file: file.to_owned(),
            line,
            source: None,
        }
    }

    fn io(file: &Path, line: u64, error: io::Error) -> Self {
        Self {
            source: Some(error.into()),
            ..Self::new(ReadErrorKind::Io, file, line)
        }
    }

    fn at(self, file: &Path, line: u64) -> Self {
        Self {
            file: file.to_owned(),
            line,
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
            ReadErrorKind::Newer { .. } => "SF0510",
            _ => "SF0509",
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line, from 1; 0 if it is about the file.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: journal file `{}`", self.code(), self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {},", self.line)?;
        }
        match self.kind {
            ReadErrorKind::Io => f.write_str(" cannot be read")?,
            ReadErrorKind::Malformed => f.write_str(" is no record")?,
            ReadErrorKind::Newer { version } => write!(
                f,
                " was written in version {version}, because its writer is newer than this program, which knows {WIRE_VERSION}"
            )?,
            ReadErrorKind::TooLong => write!(f, " is longer than {MAX_LINE} bytes")?,
            ReadErrorKind::Torn => {
                f.write_str(" is not whole: the file ends in the middle of it")?;
            }
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        f.write_str(match self.kind {
            ReadErrorKind::Io => "; look at the path and its permissions",
            ReadErrorKind::Newer { .. } => "; read it with a newer version of `stageflow-events`",
            ReadErrorKind::Torn => {
                "; wait for whoever writes it, or open the journal again, which puts the end aside"
            }
            ReadErrorKind::Malformed | ReadErrorKind::TooLong => {
                "; ask `journal::verify` whether the file was altered"
            }
        })
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
