//! New files: made whole under a name that nobody else takes, and only then given their own.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use stageflow_context::{IdSource as _, SystemIds};

use super::trouble;
use crate::StoreError;

const DOING: &str = "making a file";
/// What may stand beside a file that is not whole yet.
const LEFT: [&str; 4] = [".new", ".new-journal", ".new-wal", ".new-shm"];

/// Makes a file that `fill` makes what it has to be, unless somebody else has made it meanwhile. One that has its name is
/// whole, so that an empty one was cut. It is brought to the disk once, at the end: until then whatever goes wrong, what is
/// there is thrown away.
///
/// Whoever makes one holds the folder's lock with others who do, so that what is left behind is known for what it is.
pub(super) fn make(
    folder: &Path,
    file: &Path,
    fill: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let folder = File::open(folder).map_err(trouble::on_disk(DOING))?;
    match folder.lock_shared() {
        Err(error) if !is_unsupported(&error) => return Err(trouble::on_disk(DOING)(error)),
        _ => {}
    }
    let fresh = fresh_name(file);
    let filled = begin(&fresh).and_then(|opened| {
        fill(&fresh)?;
        // Closed after it has its name, it would take with it the locks of whoever opens the file by that.
        opened.sync_all().map_err(trouble::on_disk(DOING))
    });
    let linked = filled.and_then(|()| {
        // A link does not write over what somebody else has made.
        match fs::hard_link(&fresh, file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(trouble::on_disk(DOING)),
        }
    });
    let removed = remove(&fresh);
    linked?;
    removed.map_err(trouble::on_disk(DOING))?;
    folder.sync_all().map_err(trouble::on_disk(DOING))
}

/// Takes away what others have left that were killed while they made a file. Where somebody makes one now, nothing is
/// taken away: whoever opens the folder next looks again.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    let lock = File::open(folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_left = name.to_str().is_some_and(|name| {
            name.starts_with("org_") && LEFT.iter().any(|end| name.ends_with(end))
        });
        if is_left {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Beside the file, and nobody else's.
fn fresh_name(file: &Path) -> PathBuf {
    let own = SystemIds::new().next_uuid().simple().to_string();
    file.with_extension(format!("db.{own}.new"))
}

fn begin(fresh: &Path) -> Result<File, StoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(fresh).map_err(trouble::on_disk(DOING))
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Some disks have no locks. There what is left behind stays.
fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}
