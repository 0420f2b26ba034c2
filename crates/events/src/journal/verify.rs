//! Whether a journal is as it was written.

use std::io;
use std::path::{Path, PathBuf};

use super::control::{Control, VERSION, What};
use super::erase::is_tombstone;
use super::lines::{Lines, Read};
use super::link::{JournalHead, Link};
use super::survey::first_line;
use super::{Chain, ChainError, ChainErrorKind as Kind, Verified, folder};
use crate::Lane;

/// Looks through a journal's folder, or one of its files, for the first line that is not as it was written: altered, missing
/// or out of place. Reads line by line, and keeps nothing.
///
/// Nobody can see from the files alone that their end was cut off at a whole line, or that somebody has written all of it anew:
/// see [`verify_to`].
///
/// # Errors
///
/// [`ChainError`] with the first such line, and what holds before it.
pub fn verify(path: impl AsRef<Path>) -> Result<Verified, ChainError> {
    Verifier::new(path.as_ref(), None)?.run()
}

/// The same, where the journal must have come at least as far as `head`, on the same way. `head` is what
/// [`JournalWatch::head`](super::JournalWatch::head) gave at any time, and was kept where the journal is not.
///
/// # Errors
///
/// [`ChainError`] with the first such line; [`ChainErrorKind::Shortened`](Kind::Shortened) if the end was cut off.
pub fn verify_to(path: impl AsRef<Path>, head: &JournalHead) -> Result<Verified, ChainError> {
    Verifier::new(path.as_ref(), Some(*head))?.run()
}

struct Verifier {
    path: PathBuf,
    files: Vec<PathBuf>,
    /// Which file is looked at, and which line.
    at: usize,
    line: u64,
    verified: Verified,
    /// How many records the journal had before its first line here.
    records_before: u64,
    chain: Chain,
    goal: Option<JournalHead>,
}

impl Verifier {
    fn new(path: &Path, goal: Option<JournalHead>) -> Result<Self, ChainError> {
        let failed = |error| ChainError::io(path, 0, Verified::NOTHING, error);
        Ok(Self {
            path: path.to_owned(),
            files: folder::files(path).map_err(failed)?,
            at: 0,
            line: 0,
            verified: Verified::NOTHING,
            records_before: 0,
            chain: Chain::Off,
            goal,
        })
    }

    fn run(mut self) -> Result<Verified, ChainError> {
        while self.at < self.files.len() {
            self.file()?;
            self.at += 1;
        }
        let found = self.verified.head.n();
        match self.goal {
            Some(goal) if goal.n() > found => {
                let expected = goal.n();
                self.at = self.at.saturating_sub(1);
                Err(self.error(Kind::Shortened { expected, found }))
            }
            _ => Ok(self.verified),
        }
    }

    fn error(&self, kind: Kind) -> ChainError {
        let file = self.files.get(self.at).unwrap_or(&self.path);
        ChainError::new(kind, file, self.line, self.verified)
    }

    fn io(&self, error: io::Error) -> ChainError {
        let file = self.files.get(self.at).unwrap_or(&self.path);
        ChainError::io(file, self.line, self.verified, error)
    }

    fn file(&mut self) -> Result<(), ChainError> {
        self.line = 0;
        let path = self.files.get(self.at).unwrap_or(&self.path);
        let mut lines = Lines::open(path).map_err(|error| self.io(error))?;
        loop {
            let read = lines.next().map_err(|error| self.io(error))?;
            self.line = lines.number.max(1);
            match read {
                Read::End if lines.number == 0 => return Err(self.error(Kind::Torn)),
                Read::End => break,
                Read::Torn => return Err(self.error(Kind::Torn)),
                Read::TooLong => return Err(self.error(Kind::Altered)),
                Read::Line if lines.number == 1 => self.header(&lines.bytes)?,
                Read::Line => {
                    let bytes = std::mem::take(&mut lines.bytes);
                    self.line(&bytes, &mut lines)?;
                    lines.bytes = bytes;
                }
            }
        }
        self.verified.files += 1;
        Ok(())
    }

    /// The first line of a file.
    fn header(&mut self, bytes: &[u8]) -> Result<(), ChainError> {
        let bad = || self.error(Kind::BadHeader);
        let link = Link::of(bytes).ok_or_else(bad)?;
        if !link.is_sound(bytes) {
            return Err(self.error(Kind::Altered));
        }
        let control = Control::of(bytes).ok_or_else(bad)?;
        let number = self
            .files
            .get(self.at)
            .and_then(|path| folder::number(path));
        let is_here = number.is_none_or(|number| number == control.file);
        if control.what != What::Begins || control.version > VERSION || !is_here {
            return Err(bad());
        }
        if self.at == 0 {
            self.start(link, &control)?;
        }
        self.follow(link, None)?;
        self.obey(&control)
    }

    /// The first line of all: what it goes on from is believed, if the journal says that it has deleted what was before.
    fn start(&mut self, link: Link, control: &Control) -> Result<(), ChainError> {
        let before = link.n.saturating_sub(1);
        let start = JournalHead::new(before, link.prev);
        let is_folder = self.files.first() != Some(&self.path);
        if before > 0 && is_folder && !self.was_deleted(control.file.saturating_sub(1)) {
            return Err(self.error(Kind::Missing {
                from: 1,
                to: before,
            }));
        }
        match self.goal {
            Some(goal) if goal.n() < before => {
                return Err(self.error(Kind::HeadDeleted { first: link.n }));
            }
            Some(goal) if goal.n() == before && goal != start => {
                return Err(self.error(Kind::Forked { n: before }));
            }
            _ => {}
        }
        if before == 0 && start != JournalHead::NONE {
            return Err(self.error(Kind::Unlinked));
        }
        (self.verified.start, self.verified.head) = (start, start);
        self.records_before = control.records;
        Ok(())
    }

    /// Whether the journal says that it has deleted this file itself. If what says so was altered, that is found later.
    fn was_deleted(&self, file: u64) -> bool {
        let last = self.files.last().map(|last| first_line(last));
        let Some(Ok(Some((control, line)))) = last else {
            return true;
        };
        let is_sound = Link::of(&line).is_some_and(|link| link.is_sound(&line));
        !is_sound || control.deleted.files >= file
    }

    /// Any other line.
    fn line(&mut self, bytes: &[u8], lines: &mut Lines) -> Result<(), ChainError> {
        let control = Control::of(bytes);
        let link = Link::of(bytes);
        let is_erased = is_tombstone(bytes);
        match link {
            Some(link) if !is_erased && !link.is_sound(bytes) => {
                return Err(self.error(Kind::Altered));
            }
            Some(link) => self.follow(link, Some(lines))?,
            None if is_erased && self.chain != Chain::All => {}
            None if control.is_some() || self.wants_link(bytes) => {
                return Err(self.error(Kind::Altered));
            }
            None => {}
        }
        match control {
            Some(control) => self.obey(&control)?,
            None => {
                self.verified.records += 1;
                self.verified.chained += u64::from(link.is_some());
                self.verified.erased += u64::from(is_erased);
            }
        }
        Ok(())
    }

    /// Whether a line without a link should have one, or is no record at all.
    fn wants_link(&self, line: &[u8]) -> bool {
        let Ok(Typed { kind }) = serde_json::from_slice(line) else {
            return true;
        };
        let name = kind.strip_prefix(crate::cloud_event::TYPE).unwrap_or(&kind);
        match self.chain {
            Chain::All => true,
            Chain::Audit => Lane::of_type(name) == Lane::Audit,
            Chain::Off => false,
        }
    }

    /// The link must be the one behind the last.
    fn follow(&mut self, link: Link, lines: Option<&mut Lines>) -> Result<(), ChainError> {
        let expected = self.verified.head.n() + 1;
        if link.n != expected {
            let found = link.n;
            let is_later = link.n > expected && self.comes_later(expected, lines);
            return Err(self.error(if link.n < expected || is_later {
                Kind::Reordered { expected, found }
            } else {
                let (from, to) = (expected, found - 1);
                Kind::Missing { from, to }
            }));
        }
        if link.prev != self.verified.head.hash() {
            return Err(self.error(Kind::Unlinked));
        }
        if self
            .goal
            .is_some_and(|goal| goal.n() == link.n && goal != link.head())
        {
            return Err(self.error(Kind::Forked { n: link.n }));
        }
        self.verified.head = link.head();
        Ok(())
    }

    /// Whether the line with this number comes behind this one. What cannot be read is not there.
    fn comes_later(&self, n: u64, lines: Option<&mut Lines>) -> bool {
        let is_it = |line: &[u8]| Link::of(line).is_some_and(|link| link.n == n);
        let in_one = |lines: &mut Lines| {
            while let Ok(Read::Line | Read::TooLong) = lines.next() {
                if is_it(&lines.bytes) {
                    return true;
                }
            }
            false
        };
        let later = self.files.iter().skip(self.at + 1);
        let mut later = later.filter_map(|path| Lines::open(path).ok());
        lines.is_some_and(in_one) || later.any(|mut lines| in_one(&mut lines))
    }

    /// What the journal says of itself must be so, and holds from here on.
    fn obey(&mut self, control: &Control) -> Result<(), ChainError> {
        let found = self.records_before + self.verified.records;
        let expected = control.records;
        if expected != found {
            return Err(self.error(Kind::Miscounted { expected, found }));
        }
        self.chain = control.chain;
        Ok(())
    }
}

/// The one field that says whether a record has to be chained.
#[derive(serde::Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}
