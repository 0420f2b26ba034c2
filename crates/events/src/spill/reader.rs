//! Reads the files of a spill, one record after the other.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::frame::{self, Found};
use super::position::Place;
use super::segment::{self, HEADER, Segment};
use crate::EventRecord;

/// Where it is, and what it has read ahead from there.
#[derive(Debug)]
pub(super) struct Reader {
    at: Place,
    chunk: Vec<u8>,
    chunk_at: Place,
}

/// What comes next in a file.
#[derive(Debug)]
pub(super) enum Next {
    /// A record. The reader stands behind it.
    Record(Arc<EventRecord>),
    /// A record that is not one of ours. The reader stands behind it.
    Unreadable,
    /// Nothing, though there should be something: it was damaged or deleted.
    Gone,
}

impl Reader {
    pub(super) fn at(at: Place) -> Self {
        Self {
            at,
            chunk: Vec::new(),
            chunk_at: Place::default(),
        }
    }

    pub(super) fn place(&self) -> Place {
        self.at
    }

    /// The next record of `segment`.
    pub(super) fn next(&mut self, dir: &Path, segment: &Segment) -> io::Result<Next> {
        if self.at.segment != segment.number {
            self.at = Place {
                segment: segment.number,
                offset: HEADER,
            };
        }
        self.at.offset = self.at.offset.max(HEADER);
        loop {
            let Some(from) = self.loaded(dir, segment)? else {
                return Ok(Next::Gone);
            };
            let found = frame::find(&self.chunk, from);
            let (Found::Record { end } | Found::Damaged { next: end }) = found else {
                return Ok(Next::Gone);
            };
            self.at.offset = self.chunk_at.offset + end as u64;
            if let Found::Record { .. } = found {
                let body = self.chunk.get(from + frame::HEAD..end);
                let record = serde_json::from_slice(body.unwrap_or_default());
                return Ok(record.map_or(Next::Unreadable, |record| Next::Record(Arc::new(record))));
            }
        }
    }

    /// Where in the chunk it stands, after a look at the file if need be. `None` if there is nothing more.
    fn loaded(&mut self, dir: &Path, segment: &Segment) -> io::Result<Option<usize>> {
        let start = self.chunk_at;
        let is_here = start.segment == self.at.segment
            && (start.offset..start.offset + self.chunk.len() as u64).contains(&self.at.offset);
        if !is_here {
            self.chunk = match File::open(segment::path(dir, segment.number)) {
                Ok(mut file) => segment::read(&mut file, self.at.offset, segment.bytes)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(error),
            };
            self.chunk_at = self.at;
        }
        let is_more = !self.chunk.is_empty();
        Ok(is_more.then(|| (self.at.offset - self.chunk_at.offset) as usize))
    }
}
