//! Where a view has its records from.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::model::LiveModel;
use crate::read;

/// Gives a view what is new.
pub trait Feed {
    /// Puts what is new into `model`, without waiting for more.
    ///
    /// # Errors
    ///
    /// If what it reads from cannot be read any more; the view ends with it.
    fn feed(&mut self, model: &mut LiveModel) -> io::Result<Fed>;
}

/// Whether there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fed {
    /// There is more already: ask again at once.
    More,
    /// There may be more later.
    Open,
    /// There will be no more.
    Over,
}

/// What to do at the end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// Wait for what is appended.
    Follow,
    /// Stop.
    #[default]
    Whole,
}

/// So much is read at a look, so that keys are heard also while a large file is read.
const BITE: u64 = 4 * 1024 * 1024;

/// Reads a journal file: a line of JSON a record. A line that is no record is counted and passed over.
#[derive(Debug)]
pub struct JournalFeed {
    file: File,
    reading: Reading,
    position: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl JournalFeed {
    /// Reads `path` from its beginning.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(path: impl AsRef<Path>, reading: Reading) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            reading,
            position: 0,
            rest: Vec::new(),
        })
    }

    /// A file that has become shorter was begun anew.
    fn start_over_if_shorter(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.position {
            self.position = self.file.seek(SeekFrom::Start(0))?;
            self.rest.clear();
        }
        Ok(())
    }

    fn observe(model: &mut LiveModel, lines: &[u8]) {
        for record in read::lines(lines) {
            match record {
                Ok(record) => model.observe(&record),
                Err(_) => model.unreadable(),
            }
        }
    }
}

impl Feed for JournalFeed {
    fn feed(&mut self, model: &mut LiveModel) -> io::Result<Fed> {
        self.start_over_if_shorter()?;
        let read = (&mut self.file).take(BITE).read_to_end(&mut self.rest)? as u64;
        self.position += read;
        if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
            Self::observe(model, &self.rest[..=end]);
            self.rest.drain(..=end);
        }
        if self.rest.len() as u64 > read::LONGEST_LINE {
            // No record is as long as that.
            model.unreadable();
            self.rest.clear();
        }
        Ok(match (read, self.reading) {
            (1.., _) => Fed::More,
            (0, Reading::Follow) => Fed::Open,
            (0, Reading::Whole) => {
                // Its writer did not finish it, but it may be whole.
                Self::observe(model, &std::mem::take(&mut self.rest));
                Fed::Over
            }
        })
    }
}
