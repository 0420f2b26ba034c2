//! Records that wait on disk until they can be delivered.
//!
//! ```text
//!   <dir>/lock                          held while somebody uses the folder
//!   <dir>/position                      everything before it was delivered
//!   <dir>/00000000000000000007.spill    header ▸ { mark, length, crc32, JSON of an `EventRecord` }*
//! ```

mod error;
mod frame;
mod options;
mod position;
mod reader;
mod segment;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::Arc;

pub use error::{SpillError, SpillErrorKind};
pub use options::SpillOptions;
use position::{Place, Position};
use reader::{Next, Reader};
use segment::{HEADER, Segment};

use crate::EventRecord;
use crate::lock::Lock;

/// A queue of records on disk: first in, first out, bounded in bytes.
///
/// A record is handed out as often as [`Spill::peek`] is called, until [`Spill::commit`] says that it was delivered. Whoever
/// opens the folder after a crash gets what was not committed; and again some of what was, if the machine went down before
/// that was written. So records may come twice, and none gets lost with the process. The files are not synced: if the machine
/// loses power, what it had not written yet is gone, and what is half there is found by its checksum and counted.
///
/// It reads and writes in place, into the page cache; it makes no threads.
///
/// ```
/// # use stageflow_events::{EventRecord, Spill, SpillOptions};
/// # fn a_record() -> EventRecord {
/// #     serde_json::from_value(serde_json::json!({
/// #         "version": 2, "type": "docs.loaded", "seq": 0, "time_us": 0, "elapsed_ns": 0, "pipeline": "answer",
/// #         "run_id": "run", "correlation_id": "cause", "trace_id": "trace", "span_id": "span",
/// #     })).unwrap()
/// # }
/// # let dir = tempfile::tempdir().unwrap();
/// let mut spill = Spill::open(&SpillOptions::new(dir.path()))?;
/// spill.append(&a_record())?;
///
/// let first = spill.peek(10)?; // still there
/// spill.commit(first.len())?;
/// assert!(spill.is_empty());
/// # Ok::<(), stageflow_events::SpillError>(())
/// ```
#[derive(Debug)]
pub struct Spill {
    options: SpillOptions,
    _lock: Lock,
    position: Position,
    segments: VecDeque<Segment>,
    /// The file that is written to: the last segment's. `None` if the next record starts a new one.
    writer: Option<File>,
    next_number: u64,
    frame: Vec<u8>,
    /// Read, and not committed.
    ahead: VecDeque<(Arc<EventRecord>, Place)>,
    reader: Reader,
    len: u64,
    damaged: u64,
    torn: u64,
}

impl Spill {
    /// The spill in this folder, with what was left in it. The start of a record at the end of a file is cut off.
    ///
    /// # Errors
    ///
    /// [`SpillErrorKind::InUse`] if somebody else has the folder, [`SpillErrorKind::Io`] if it cannot be made or read.
    pub fn open(options: &SpillOptions) -> Result<Self, SpillError> {
        let dir = options.dir();
        let io = || SpillError::io(dir);
        fs::create_dir_all(dir).map_err(io())?;
        let lock = Lock::take(&dir.join("lock")).map_err(SpillError::lock(dir))?;
        let (position, place) = Position::open(&dir.join("position")).map_err(io())?;
        let mut spill = Self {
            options: options.clone(),
            _lock: lock,
            position,
            segments: VecDeque::new(),
            writer: None,
            next_number: place.segment.max(1),
            frame: Vec::new(),
            ahead: VecDeque::new(),
            reader: Reader::at(place),
            len: 0,
            damaged: 0,
            torn: 0,
        };
        for number in segment::numbers(dir).map_err(io())? {
            spill.find_again(number, place)?;
        }
        spill.tidy(place).map_err(io())?;
        Ok(spill)
    }

    /// Puts a record behind all others.
    ///
    /// # Errors
    ///
    /// [`SpillErrorKind::Full`], [`SpillErrorKind::TooLarge`], or [`SpillErrorKind::Io`], after which the spill is as it was
    /// before and the record is not in it.
    pub fn append(&mut self, record: &EventRecord) -> Result<(), SpillError> {
        let bytes = self.encode(record)?;
        let (total, limit) = (self.options.total(), self.options.segment());
        if HEADER + bytes > limit {
            let kind = SpillErrorKind::TooLarge { bytes, limit };
            return Err(SpillError::new(kind, self.options.dir()));
        }
        let last = self.segments.back().map_or(0, |last| last.bytes);
        let is_new = self.writer.is_none() || last + bytes > limit;
        let more = if is_new { HEADER + bytes } else { bytes };
        if self.bytes() + more > total {
            let kind = SpillErrorKind::Full { limit: total };
            return Err(SpillError::new(kind, self.options.dir()));
        }
        let written = self.write(is_new, bytes);
        written.map_err(SpillError::io(self.options.dir()))
    }

    /// The oldest records, at most `max`, without taking them out.
    ///
    /// # Errors
    ///
    /// [`SpillErrorKind::Io`] if a file cannot be read; another try goes on at the same place.
    pub fn peek(&mut self, max: usize) -> Result<Vec<Arc<EventRecord>>, SpillError> {
        while self.ahead.len() < max {
            let read = self.read_one();
            if !read.map_err(SpillError::io(self.options.dir()))? {
                break;
            }
        }
        let records = self.ahead.iter().take(max);
        Ok(records.map(|(record, _)| Arc::clone(record)).collect())
    }

    /// Takes out the oldest `n` of those that [`Spill::peek`] has given.
    ///
    /// # Errors
    ///
    /// [`SpillErrorKind::Io`] if that cannot be written down. They are taken out all the same; after a crash they may come again.
    pub fn commit(&mut self, n: usize) -> Result<(), SpillError> {
        let n = n.min(self.ahead.len());
        let Some((_, place)) = self.ahead.drain(..n).next_back() else {
            return Ok(());
        };
        self.len -= n as u64;
        self.tidy(place).map_err(SpillError::io(self.options.dir()))
    }

    /// How many records wait.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes its files take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// How many bytes its files may take.
    pub(crate) fn limit(&self) -> u64 {
        self.options.total()
    }

    /// How many records were left out since it was opened because they are not as they were written.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// How many files ended in the start of a record when it was opened: a crash cut the last write short.
    #[must_use]
    pub fn torn(&self) -> u64 {
        self.torn
    }

    fn find_again(&mut self, number: u64, place: Place) -> Result<(), SpillError> {
        let path = segment::path(self.options.dir(), number);
        if number < place.segment {
            return fs::remove_file(&path).map_err(SpillError::io(&path));
        }
        let offset = if number == place.segment {
            place.offset
        } else {
            0
        };
        let scan = segment::scan(&path, offset.max(HEADER)).map_err(SpillError::io(&path))?;
        self.segments.push_back(Segment {
            number,
            bytes: scan.bytes,
            unread: scan.records,
        });
        self.next_number = number.saturating_add(1);
        self.len += scan.records;
        self.damaged += scan.damaged;
        self.torn += u64::from(scan.is_torn);
        Ok(())
    }

    fn encode(&mut self, record: &EventRecord) -> Result<u64, SpillError> {
        self.frame.clear();
        self.frame.resize(frame::HEAD, 0);
        let written = serde_json::to_writer(&mut self.frame, record).map_err(io::Error::from);
        written.map_err(SpillError::io(self.options.dir()))?;
        let bytes = self.frame.len() as u64;
        let limit = self.options.segment();
        frame::seal(&mut self.frame).map(|()| bytes).ok_or_else(|| {
            SpillError::new(
                SpillErrorKind::TooLarge { bytes, limit },
                self.options.dir(),
            )
        })
    }

    fn write(&mut self, is_new: bool, bytes: u64) -> io::Result<()> {
        if is_new {
            let number = self.next_number;
            let file = segment::create(&segment::path(self.options.dir(), number))?;
            self.writer = Some(file);
            self.next_number = number.saturating_add(1);
            self.segments.push_back(Segment {
                number,
                bytes: HEADER,
                unread: 0,
            });
        }
        let (Some(file), Some(segment)) = (&mut self.writer, self.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = file.write_all(&self.frame) {
            // Half a record would stand before the next one. If it cannot be taken back, the next one goes into a new file.
            if file.set_len(segment.bytes).is_err() {
                self.writer = None;
            }
            return Err(error);
        }
        segment.bytes += bytes;
        segment.unread += 1;
        self.len += 1;
        Ok(())
    }

    /// Reads the next record into `ahead`. `false` if there is none.
    fn read_one(&mut self) -> io::Result<bool> {
        let dir = self.options.dir();
        while let Some(segment) = self.segments.iter_mut().find(|segment| segment.unread > 0) {
            let lost = match self.reader.next(dir, segment)? {
                Next::Record(record) => {
                    segment.unread -= 1;
                    self.ahead.push_back((record, self.reader.place()));
                    return Ok(true);
                }
                Next::Unreadable => 1,
                Next::Gone => segment.unread,
            };
            segment.unread -= lost;
            self.damaged += lost;
            self.len -= lost;
        }
        Ok(false)
    }

    /// Remembers that everything before `place` was delivered, and deletes the files that nobody needs any more.
    fn tidy(&mut self, mut place: Place) -> io::Result<()> {
        let kept = match self.segments.iter().find(|segment| segment.unread > 0) {
            // Nothing waits: all files can go, and the next record starts a new one.
            _ if self.len == 0 => self.next_number,
            _ if !self.ahead.is_empty() => place.segment,
            Some(next) => next.number.max(place.segment),
            None => place.segment,
        };
        if kept > place.segment {
            place = Place {
                segment: kept,
                offset: 0,
            };
        }
        if self.len == 0 {
            self.writer = None;
            self.reader = Reader::at(place);
        }
        // First the place, then the files: a place in a file that is gone is one before all others.
        let remembered = self.position.set(place);
        while let Some(first) = self.segments.front()
            && first.number < kept
        {
            match fs::remove_file(segment::path(self.options.dir(), first.number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.segments.pop_front(),
            };
        }
        remembered
    }
}
