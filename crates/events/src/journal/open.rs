//! Opening a journal, and where it stands.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::control::{Control, Deleted, VERSION, What};
use super::disk::{Disk, Log};
use super::survey::{Survey, first_line};
use super::{JournalError, JournalErrorKind, JournalHead, JournalOptions, JournalStatus, folder};
use crate::lock::Lock;

/// Where a journal stands.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: JournalOptions,
    pub(super) disk: Arc<dyn Disk>,
    _lock: Lock,
    /// The file that is written to.
    pub(super) log: Arc<dyn Log>,
    pub(super) file: u64,
    /// How long it is.
    pub(super) bytes: u64,
    /// How many records the journal had when it began.
    pub(super) records_before: u64,
    /// How many it has now.
    pub(super) records: u64,
    pub(super) head: JournalHead,
    pub(super) deleted: Deleted,
    /// The files before it, the oldest first.
    pub(super) old: VecDeque<Old>,
    /// Files that the journal has said to be deleted, and that are still there.
    pub(super) doomed: Vec<u64>,
    pub(super) torn: u64,
}

/// A file that is not written to any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// How many records the journal had when it began.
    pub(super) records_before: u64,
}

impl State {
    pub(super) fn open(
        options: &JournalOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, JournalError> {
        let dir = options.dir();
        fs::create_dir_all(dir).map_err(JournalError::io(dir))?;
        let lock = Lock::take(&dir.join("lock")).map_err(JournalError::lock(dir))?;
        let left = Left::of(dir)?;
        let path = folder::path(dir, left.number);
        let log = match left.how {
            What::Begins => disk.create(&path),
            What::Resumes => disk.reopen(&path),
        };
        let mut state = Self {
            options: options.clone(),
            log: log.map_err(JournalError::io(&path))?,
            disk,
            _lock: lock,
            file: left.number,
            bytes: 0,
            records_before: 0,
            records: 0,
            head: JournalHead::NONE,
            deleted: Deleted::default(),
            old: left.old,
            doomed: Vec::new(),
            torn: 0,
        };
        if let Some(survey) = left.last {
            state.go_on_from(&survey, &folder::path(dir, survey.number))?;
        }
        state.begin_again(left.how, &left.torn, &path)?;
        state.bury();
        Ok(state)
    }

    /// Takes over what the last file says of the journal.
    fn go_on_from(&mut self, survey: &Survey, path: &Path) -> Result<(), JournalError> {
        let foreign = || JournalError::new(JournalErrorKind::Foreign, path);
        let said = survey.last.as_ref().ok_or_else(foreign)?;
        if said.version > VERSION {
            return Err(foreign());
        }
        self.head = survey.head.ok_or_else(foreign)?;
        self.records = survey.records;
        self.deleted = said.deleted;
        let is_doomed = |old: &&Old| old.number <= said.deleted.files;
        let doomed = self.old.iter().filter(is_doomed);
        self.doomed = doomed.map(|old| old.number).collect();
        self.old.retain(|old| !is_doomed(&old));
        if survey.number == self.file {
            self.bytes = survey.end;
            self.records_before = survey.first.as_ref().ok_or_else(foreign)?.records;
        } else {
            self.records_before = survey.records;
        }
        Ok(())
    }

    /// Puts aside what is torn, and writes the first line of this process.
    fn begin_again(&mut self, how: What, torn: &[u8], path: &Path) -> Result<(), JournalError> {
        if !torn.is_empty() {
            keep_torn(path, torn).map_err(JournalError::io(path))?;
            self.log.cut(self.bytes).map_err(JournalError::io(path))?;
            self.torn = torn.len() as u64;
        }
        let torn = (self.torn > 0).then_some(self.torn);
        let line = self.write_control(how, torn);
        line.map_err(JournalError::io(path))
    }

    /// Writes a line of the journal's own, whole or not at all.
    pub(super) fn write_control(&mut self, what: What, torn: Option<u64>) -> io::Result<()> {
        let control = Control {
            version: VERSION,
            what,
            file: self.file,
            records: self.records,
            chain: self.options.chained(),
            deleted: self.deleted,
            torn_bytes: torn,
        };
        let value = control.line(self.options.form(), self.head.n() + 1);
        let mut line = serde_json::to_vec(&value)?;
        let head = self.head.seal(&mut line, 0);
        line.push(b'\n');
        if let Err(error) = self.log.append(&line) {
            let _ = self.log.cut(self.bytes);
            return Err(error);
        }
        self.bytes += line.len() as u64;
        self.head = head;
        Ok(())
    }

    pub(super) fn status(&self) -> JournalStatus {
        JournalStatus {
            head: self.head,
            records: self.records,
            file: self.file,
            deleted_files: self.deleted.files,
            deleted_records: self.deleted.records,
            torn_bytes: self.torn,
        }
    }
}

/// The bytes that were cut off go behind those that were cut off before.
fn keep_torn(path: &Path, torn: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    let mut file = OpenOptions::new().create(true).append(true).open(name)?;
    file.write_all(torn)
}

/// What a folder holds.
struct Left {
    /// The files that are done with, the oldest first.
    old: VecDeque<Old>,
    /// The last file in which something stands.
    last: Option<Survey>,
    /// What stands behind the last whole line.
    torn: Vec<u8>,
    /// The file to write to, and whether it begins.
    number: u64,
    how: What,
}

impl Left {
    fn of(dir: &Path) -> Result<Self, JournalError> {
        let io = || JournalError::io(dir);
        let mut numbers = folder::numbers(dir).map_err(io())?;
        let mut left = Self {
            old: VecDeque::new(),
            last: None,
            torn: Vec::new(),
            number: 1,
            how: What::Begins,
        };
        let Some(last) = numbers.pop() else {
            return Ok(left);
        };
        left.number = last;
        let mut survey = Survey::of(dir, last).map_err(io())?;
        left.torn = std::mem::take(&mut survey.torn);
        if survey.end > 0 {
            left.last = Some(survey);
            left.how = What::Resumes;
        } else if let Some(before) = numbers.last() {
            // A crash came between the file and its first line.
            left.last = Some(Survey::of(dir, *before).map_err(io())?);
        }
        for number in numbers {
            left.old.push_back(Old::of(dir, number)?);
        }
        Ok(left)
    }
}

impl Old {
    fn of(dir: &Path, number: u64) -> Result<Self, JournalError> {
        let path = folder::path(dir, number);
        let first = first_line(&path).map_err(JournalError::io(&path))?;
        let foreign = || JournalError::new(JournalErrorKind::Foreign, &path);
        let (control, _) = first.ok_or_else(foreign)?;
        let bytes = fs::metadata(&path).map_err(JournalError::io(&path))?.len();
        Ok(Self {
            number,
            bytes,
            records_before: control.records,
        })
    }
}
