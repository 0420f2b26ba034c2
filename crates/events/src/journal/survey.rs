//! What a file of a journal holds, as far as one needs it to go on.

use std::io;
use std::path::Path;

use super::control::Control;
use super::folder;
use super::lines::{Lines, Read};
use super::link::{JournalHead, Link};

/// What a look through a file found.
#[derive(Debug)]
pub(super) struct Survey {
    /// The number in the file's name.
    pub(super) number: u64,
    /// What its first line says. `None` if that is not the first line of a journal's file.
    pub(super) first: Option<Control>,
    /// What was said last, in the first line or later.
    pub(super) last: Option<Control>,
    /// How many records the journal had at its end.
    pub(super) records: u64,
    /// How far the chain had come.
    pub(super) head: Option<JournalHead>,
    /// Where its last whole line ends, in bytes.
    pub(super) end: u64,
    /// What is behind that.
    pub(super) torn: Vec<u8>,
}

impl Survey {
    /// Reads the whole file.
    pub(super) fn of(dir: &Path, number: u64) -> io::Result<Self> {
        let mut survey = Self {
            number,
            first: None,
            last: None,
            records: 0,
            head: None,
            end: 0,
            torn: Vec::new(),
        };
        let mut lines = Lines::open(&folder::path(dir, number))?;
        loop {
            match lines.next()? {
                Read::End => break,
                Read::Torn => survey.torn = std::mem::take(&mut lines.bytes),
                Read::TooLong => survey.records += 1,
                Read::Line => survey.add(lines.number, &lines.bytes),
            }
        }
        survey.end = lines.end;
        Ok(survey)
    }

    fn add(&mut self, number: u64, line: &[u8]) {
        let control = Control::of(line);
        if number == 1 {
            self.first.clone_from(&control);
        }
        match control {
            Some(control) => {
                self.records = control.records;
                self.last = Some(control);
            }
            None => self.records += 1,
        }
        if let Some(link) = Link::of(line) {
            self.head = Some(link.head());
        }
    }
}

/// What the first line of a file says, with the line itself.
pub(super) fn first_line(path: &Path) -> io::Result<Option<(Control, Vec<u8>)>> {
    let mut lines = Lines::open(path)?;
    Ok(match lines.next()? {
        Read::Line => Control::of(&lines.bytes).map(|control| (control, lines.bytes)),
        _ => None,
    })
}
