//! A file, line by line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// The longest line that is read, in bytes: 64 MiB.
pub(super) const MAX_LINE: u64 = 64 << 20;

/// Reads one line after the other, whatever bytes are in them.
#[derive(Debug)]
pub(super) struct Lines {
    file: BufReader<File>,
    /// The line, without its end.
    pub(super) bytes: Vec<u8>,
    /// Its number, from 1.
    pub(super) number: u64,
    /// Where the lines that were read end, in bytes.
    pub(super) end: u64,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A whole line.
    Line,
    /// The file ends in the middle of a line.
    Torn,
    /// A line that is longer than [`MAX_LINE`].
    TooLong,
    /// Nothing more.
    End,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::new(File::open(path)?),
            bytes: Vec::new(),
            number: 0,
            end: 0,
        })
    }

    /// Reads the next line into `bytes`.
    pub(super) fn next(&mut self) -> io::Result<Read> {
        self.bytes.clear();
        let mut file = (&mut self.file).take(MAX_LINE);
        let length = file.read_until(b'\n', &mut self.bytes)? as u64;
        if length == 0 {
            return Ok(Read::End);
        }
        self.number += 1;
        if self.bytes.pop_if(|byte| *byte == b'\n').is_some() {
            self.end += length;
            return Ok(Read::Line);
        }
        if length < MAX_LINE {
            return Ok(Read::Torn);
        }
        self.end += length + self.skip()?;
        Ok(Read::TooLong)
    }

    /// Leaves out the rest of a line.
    fn skip(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.file.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            self.file.consume(length);
            skipped += length as u64;
            if end.is_some() || length == 0 {
                return Ok(skipped);
            }
        }
    }
}
