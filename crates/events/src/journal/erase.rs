//! Taking records out of a journal for good, so that what is left still verifies.
//!
//! In the place of each record there is a *tombstone*: a line that says of which run it was and which event, and nothing else.
//! If the record was chained, so is the tombstone, with the link that the record had: the line after it goes on from there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use stageflow_context::RunId;

use super::control::Control;
use super::folder;
use super::lines::{Lines, Read};
use super::link::Link;
use super::read::read_line;
use super::{JournalError, JournalErrorKind};
use crate::EventRecord;
use crate::lock::Lock;

/// The type of a tombstone.
const ERASED: &str = "telemetry.erased";
/// The longest that a tombstone is, in bytes: what is longer is a record.
const LONGEST: usize = 512;
/// Up to where its type is, in bytes: most lines are no tombstones, and this is asked of each.
const START: usize = 64;

/// What was taken out of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// How many records were replaced by tombstones.
    pub records: u64,
    /// How many files were written anew.
    pub files: u64,
    /// How many bytes of half lines were thrown away: what is left of writers that were killed, and nobody can say of whom it
    /// tells.
    pub torn_bytes: u64,
    /// How many lines could not be read, and are as they were.
    pub unread: u64,
}

/// Replaces every record of a journal that `is_erased` picks by a tombstone, and throws half lines away. Afterwards the bytes
/// of those records are in no file of the folder. Nobody may write to the journal meanwhile.
///
/// A tombstone has the run, the number of the event, and the link; so [`verify`](super::verify) and
/// [`verify_to`](super::verify_to) hold as before, and count it as erased. They cannot say who erased it: whoever can write
/// to a file can put a tombstone into it. Compare the count with what you know was erased.
///
/// Each file is replaced at once, the oldest first. A call that broke off is made up for by another one.
///
/// # Errors
///
/// [`JournalError`] if somebody writes to the journal, or a file cannot be read or written. Files before it are done.
pub fn erase(
    dir: impl AsRef<Path>,
    is_erased: impl Fn(&EventRecord) -> bool,
) -> Result<Erased, JournalError> {
    let dir = dir.as_ref();
    let _lock = Lock::take(&dir.join("lock")).map_err(JournalError::lock(dir))?;
    let mut erased = Erased::default();
    for path in folder::files(dir).map_err(JournalError::io(dir))? {
        erase_in(&path, &is_erased, &mut erased)?;
    }
    throw_away(dir, &mut erased).map_err(JournalError::io(dir))?;
    Ok(erased)
}

impl EventRecord {
    /// The tombstone of this record: which run, which event, and that it was erased. Its type is `telemetry.erased`.
    #[must_use]
    pub fn erased(&self) -> Self {
        // A text of somebody's own is no run id.
        let run_id = self.run_id.parse::<RunId>();
        Self {
            run_id: run_id.map_or_else(|_| String::new(), |id| id.to_string()),
            ..Self::blank(ERASED, self.seq)
        }
    }
}

/// As a line, with the link that the record had if it was chained.
fn line_of(tombstone: &EventRecord, link: Option<&Link>) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(tombstone)?;
    if let Some(link) = link {
        link.end(&mut line);
    }
    Ok(line)
}

/// Whether a line is a tombstone, to the byte: nothing else can be said in it.
pub(super) fn is_tombstone(line: &[u8]) -> bool {
    let start = line.get(..START).unwrap_or_default();
    if line.len() > LONGEST
        || !start
            .windows(ERASED.len())
            .any(|word| word == ERASED.as_bytes())
    {
        return false;
    }
    let Ok(said) = serde_json::from_slice::<EventRecord>(line) else {
        return false;
    };
    let again = line_of(&said.erased(), Link::of(line).as_ref());
    again.is_ok_and(|again| again == line)
}

/// Writes a file anew, if there is something in it to erase.
fn erase_in(
    path: &Path,
    is_erased: &impl Fn(&EventRecord) -> bool,
    erased: &mut Erased,
) -> Result<(), JournalError> {
    let failed = || JournalError::io(path);
    let mut counts = Erased::default();
    let mut lines = Lines::open(path).map_err(failed())?;
    let beside = beside(path);
    let mut out = BufWriter::new(File::create(&beside).map_err(failed())?);
    loop {
        let line = match lines.next().map_err(failed())? {
            Read::End => break,
            Read::Torn => {
                counts.torn_bytes += lines.bytes.len() as u64;
                break;
            }
            Read::TooLong => {
                let _ = fs::remove_file(&beside);
                return Err(JournalError::new(JournalErrorKind::Foreign, path));
            }
            Read::Line => tombstone(&lines.bytes, is_erased, &mut counts),
        };
        let line = line.as_deref().unwrap_or(&lines.bytes);
        let written = out.write_all(line).and_then(|()| out.write_all(b"\n"));
        written.map_err(failed())?;
    }
    let out = out
        .into_inner()
        .map_err(|error| failed()(error.into_error()))?;
    erased.unread += counts.unread;
    if counts.records == 0 && counts.torn_bytes == 0 {
        return fs::remove_file(&beside).map_err(failed());
    }
    out.sync_all().map_err(failed())?;
    fs::rename(&beside, path).map_err(failed())?;
    sync_folder(path).map_err(failed())?;
    erased.records += counts.records;
    erased.torn_bytes += counts.torn_bytes;
    erased.files += 1;
    Ok(())
}

/// What stands in the place of a line, if it is to be erased.
fn tombstone(
    line: &[u8],
    is_erased: &impl Fn(&EventRecord) -> bool,
    counts: &mut Erased,
) -> Option<Vec<u8>> {
    if Control::of(line).is_some() || is_tombstone(line) {
        return None;
    }
    let Ok(Some(record)) = read_line(line) else {
        counts.unread += 1;
        return None;
    };
    if !is_erased(&record) {
        return None;
    }
    counts.records += 1;
    line_of(&record.erased(), Link::of(line).as_ref()).ok()
}

/// The half lines that were put aside, and what an erasure that broke off had begun.
fn throw_away(dir: &Path, erased: &mut Erased) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let ends = |end: &str| path.extension().is_some_and(|extension| extension == end);
        let of_journal = folder::number(&path.with_extension("")).is_some();
        if of_journal && ends("torn") {
            erased.torn_bytes += fs::metadata(&path)?.len();
            fs::remove_file(&path)?;
        } else if of_journal && ends("erasing") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".erasing");
    name.into()
}

/// So that the new name outlives the machine.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
