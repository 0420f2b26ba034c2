//! Reads journals: a line of JSON a record.

mod error;
mod merge;

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use stageflow_events::{EventRecord, journal};

pub use error::{ReadError, ReadErrorKind};
pub use merge::{Merged, merged};

/// The longest a line may be, in bytes: so a file that is no journal does not fill the memory.
pub const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// The records in a file, one after the other, as they are asked for.
///
/// # Errors
///
/// [`ReadErrorKind::File`] if it cannot be opened; the records give the same if it cannot be read further.
pub fn file(path: impl AsRef<Path>) -> Result<Lines<BufReader<File>>, ReadError> {
    let path = path.as_ref();
    match File::open(path) {
        Ok(file) => Ok(Lines {
            path: Some(path.to_owned()),
            ..lines(BufReader::new(file))
        }),
        Err(error) => Err(ReadError::file(error).at(Some(path), 0)),
    }
}

/// The files that a path stands for: itself, or all files of the journal in that folder, the oldest first.
///
/// # Errors
///
/// [`ReadErrorKind::File`] if it cannot be looked at.
pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, ReadError> {
    let path = path.as_ref();
    journal::files(path).map_err(|error| ReadError::file(error).at(Some(path), 0))
}

/// The records in a text, one after the other, as they are asked for. Empty lines are none, nor are those that a
/// journal writes of its own.
pub fn lines<R: BufRead>(text: R) -> Lines<R> {
    Lines {
        text,
        path: None,
        number: 0,
        is_over: false,
    }
}

/// Records, read line by line. After an error in a line the next one can be asked for.
#[derive(Debug)]
pub struct Lines<R> {
    text: R,
    path: Option<PathBuf>,
    number: u64,
    is_over: bool,
}

impl<R: BufRead> Lines<R> {
    fn line(&mut self) -> Result<Option<EventRecord>, ReadError> {
        loop {
            let mut line = Vec::new();
            let mut rest = (&mut self.text).take(LONGEST_LINE);
            let read = rest.read_until(b'\n', &mut line);
            let read = read.map_err(ReadError::file)?;
            self.number += 1;
            if read == 0 {
                return Ok(None);
            }
            let is_whole = line.last() == Some(&b'\n');
            if read as u64 == LONGEST_LINE && !is_whole {
                // What follows is the rest of it, and no line of its own.
                self.is_over = true;
                return Err(ReadError::too_long());
            }
            if !line.trim_ascii().is_empty()
                && let Some(record) = record(&line, is_whole)?
            {
                return Ok(Some(record));
            }
        }
    }
}

/// The record of a line; none if it is one that a journal writes of its own.
fn record(line: &[u8], is_whole: bool) -> Result<Option<EventRecord>, ReadError> {
    journal::read_line(line).map_err(|error| match error.kind() {
        journal::ReadErrorKind::Newer { version } => ReadError::version(version),
        _ if is_whole => ReadError::line(error),
        _ => ReadError::torn(error),
    })
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<EventRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.line() {
            Ok(Some(record)) => Some(Ok(record)),
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over |= error.kind() == ReadErrorKind::File;
                Some(Err(error.at(self.path.as_deref(), self.number)))
            }
        }
    }
}
