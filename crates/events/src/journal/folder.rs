//! The files of a journal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".jsonl";

/// The file with this number.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}{SUFFIX}"))
}

/// The number in the name of a file, if it is one of a journal.
pub(super) fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(PREFIX)?
        .strip_suffix(SUFFIX)?
        .parse()
        .ok()
}

/// The numbers of the files in a folder, in order.
pub(super) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        numbers.extend(number(&entry?.path()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The files that `path` stands for: itself, or those in it, in order.
pub(super) fn files(at: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(at)?.is_dir() {
        return Ok(vec![at.to_owned()]);
    }
    let numbers = numbers(at)?;
    Ok(numbers.into_iter().map(|number| path(at, number)).collect())
}
