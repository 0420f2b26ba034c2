//! Where a view has its records from.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use stageflow_events::journal;

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

/// Reads a journal: a line of JSON a record. A line that is no record is counted and passed over.
///
/// A journal in a folder goes on in its next file when one is full. Files that were deleted before it came to them are not
/// seen.
#[derive(Debug)]
pub struct JournalFeed {
    file: File,
    path: PathBuf,
    reading: Reading,
    /// Whether there is more behind the end of this file.
    extent: Extent,
    position: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Only this file.
    File,
    /// This one, and those of the journal behind it.
    Journal,
}

impl Extent {
    /// What `path` is the beginning of.
    fn of(path: &Path) -> io::Result<Self> {
        let Some(folder) = path.parent() else {
            return Ok(Self::File);
        };
        let is_of_a_journal = journal::files(folder)?.iter().any(|file| file == path);
        Ok(if is_of_a_journal {
            Self::Journal
        } else {
            Self::File
        })
    }
}

impl JournalFeed {
    /// Reads `path` from its beginning. A folder stands for all files of the journal in it; a file for itself, and if it is one
    /// of a journal and is [followed](Reading::Follow), for those that the journal goes on with, too.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or there is no journal in the folder.
    pub fn open(path: impl AsRef<Path>, reading: Reading) -> io::Result<Self> {
        let path = path.as_ref();
        let (path, extent) = if std::fs::metadata(path)?.is_dir() {
            let first = later(path, None)?.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "there is no journal in the folder")
            })?;
            (first, Extent::Journal)
        } else {
            // A name alone stands in the folder it is asked for from.
            let is_alone = path.parent().is_some_and(|folder| folder == Path::new(""));
            let folder = Path::new(if is_alone { "." } else { "" });
            let path = folder.join(path);
            let extent = match reading {
                Reading::Follow => Extent::of(&path)?,
                Reading::Whole => Extent::File,
            };
            (path, extent)
        };
        Ok(Self {
            file: File::open(&path)?,
            path,
            reading,
            extent,
            position: 0,
            rest: Vec::new(),
        })
    }

    fn bite(&mut self) -> io::Result<u64> {
        let read = (&mut self.file).take(BITE).read_to_end(&mut self.rest)? as u64;
        self.position += read;
        Ok(read)
    }

    /// Where the journal goes on.
    fn next(&self) -> io::Result<Option<PathBuf>> {
        match (self.extent, self.path.parent()) {
            (Extent::Journal, Some(folder)) => later(folder, Some(&self.path)),
            _ => Ok(None),
        }
    }

    /// Goes on with the file at `path`. It may have been deleted meanwhile: then another one comes next.
    fn turn_to(&mut self, path: PathBuf) -> io::Result<()> {
        match File::open(&path) {
            Ok(file) => {
                self.file = file;
                self.position = 0;
            }
            // This one stays at its end, and is left again at the next look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.path = path;
        Ok(())
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
        let mut read = self.bite()?;
        if read == 0
            && let Some(next) = self.next()?
        {
            // What was written before the next file began comes first.
            read = self.bite()?;
            if read == 0 {
                Self::observe(model, &std::mem::take(&mut self.rest));
                self.turn_to(next)?;
                return Ok(Fed::More);
            }
        }
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

/// The first file of the journal in `folder`, or the first one behind `path`.
fn later(folder: &Path, path: Option<&Path>) -> io::Result<Option<PathBuf>> {
    let files = journal::files(folder)?.into_iter();
    // Their numbers have leading zeros, as long as there is room.
    let place = |path: &Path| (path.as_os_str().len(), path.to_owned());
    let behind = path.map(place);
    let mut files = files.filter(|file| behind.as_ref().is_none_or(|path| place(file) > *path));
    Ok(files.next())
}
