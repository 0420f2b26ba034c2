//! The files, of which each thread has a few open.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use stageflow_context::OrgId;

use super::options::Check;
use super::{fresh, schema, trouble};
use crate::{StoreError, StoreErrorKind};

/// Where the files are, and how they are opened.
pub(super) struct Folder {
    path: PathBuf,
    busy: Duration,
    check: Check,
}

impl Folder {
    pub(super) fn make(path: &Path, busy: Duration, check: Check) -> Result<Self, StoreError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let doing = "making the folder";
        builder.create(path).map_err(trouble::on_disk(doing))?;
        let path = fs::canonicalize(path).map_err(trouble::on_disk(doing))?;
        is_own(&path)?;
        fresh::sweep(&path).map_err(trouble::on_disk("looking through the folder"))?;
        Ok(Self { path, busy, check })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, org: OrgId) -> PathBuf {
        self.path.join(format!("org_{}.db", org.as_uuid().simple()))
    }

    /// Opens a file to write. `None` if it is not there and nothing is to be written.
    pub(super) fn open_to_write(
        &self,
        org: OrgId,
        wish: Wish,
    ) -> Result<Option<Connection>, StoreError> {
        let file = self.file(org);
        if !is_there(&file)? {
            let fill = |fresh: &Path| schema::create(self.connect(fresh)?, org);
            match wish {
                Wish::Look => return Ok(None),
                Wish::Write => fresh::make(&self.path, &file, fill)?,
            }
        }
        let mut connection = self.connect(&file)?;
        schema::look(&connection, org)?;
        let doing = "opening a file to write";
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;",
            )
            .map_err(trouble::of(doing))?;
        schema::bring_up(&mut connection, org)?;
        if self.check == Check::Whole {
            whole(&connection)?;
        }
        Ok(Some(connection))
    }

    /// Opens a file to read. `None` if it is not there.
    pub(super) fn open_to_read(&self, org: OrgId) -> Result<Option<Connection>, StoreError> {
        let file = self.file(org);
        if !is_there(&file)? {
            return Ok(None);
        }
        let connection = self.connect(&file)?;
        schema::look_whole(&connection, org)?;
        connection
            .execute_batch("PRAGMA query_only = ON;")
            .map_err(trouble::of("opening a file to read"))?;
        Ok(Some(connection))
    }

    fn connect(&self, file: &Path) -> Result<Connection, StoreError> {
        let doing = "opening a file";
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(file, flags).map_err(trouble::of(doing))?;
        let set = || {
            connection.busy_timeout(self.busy)?;
            connection.set_prepared_statement_cache_capacity(64);
            connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
        };
        set().map_err(trouble::of(doing))?;
        Ok(connection)
    }
}

/// Whether a file is to be made if it is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Look,
    Write,
}

/// Whether there is a file. What is no file, or is one elsewhere, is nobody's.
fn is_there(file: &Path) -> Result<bool, StoreError> {
    let doing = "looking for a file";
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(StoreError::new(StoreErrorKind::Foreign, doing).because("it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(trouble::on_disk(doing)(error)),
    }
}

/// Whoever may write to a folder may put another file in the place of one.
#[cfg(unix)]
fn is_own(folder: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let doing = "looking at the folder";
    let found = fs::metadata(folder).map_err(trouble::on_disk(doing))?;
    let mode = found.permissions().mode() & 0o7777;
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(StoreError::new(StoreErrorKind::Exposed, doing)
            .because(format!("its mode is {mode:o}"))),
    }
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

fn whole(connection: &Connection) -> Result<(), StoreError> {
    let doing = "looking at all pages of a file";
    let found: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(trouble::of(doing))?;
    match &*found {
        "ok" => Ok(()),
        _ => Err(trouble::corrupt(doing)),
    }
}

/// The files that a thread has open: the one that was not used for longest makes room.
pub(super) struct Files {
    folder: Arc<Folder>,
    most: NonZeroUsize,
    open: HashMap<OrgId, Open>,
    uses: u64,
}

/// An open file.
pub(super) struct Open {
    pub(super) org: OrgId,
    pub(super) connection: Connection,
    used: u64,
    /// How many transactions it has seen.
    pub(super) groups: u64,
}

impl Files {
    pub(super) fn new(folder: Arc<Folder>, most: NonZeroUsize) -> Self {
        Self {
            folder,
            most,
            open: HashMap::new(),
            uses: 0,
        }
    }

    /// The file of an org; `open` says how one is opened that is not open.
    pub(super) fn get(
        &mut self,
        org: OrgId,
        open: impl FnOnce(&Folder) -> Result<Option<Connection>, StoreError>,
    ) -> Result<Option<&mut Open>, StoreError> {
        self.uses += 1;
        if !self.open.contains_key(&org) {
            let Some(connection) = open(&self.folder)? else {
                return Ok(None);
            };
            self.make_room();
            let file = Open {
                org,
                connection,
                used: 0,
                groups: 0,
            };
            self.open.insert(org, file);
        }
        let mut file = self.open.get_mut(&org);
        if let Some(file) = &mut file {
            file.used = self.uses;
        }
        Ok(file)
    }

    /// Closes the file of an org: after an error it is opened anew.
    pub(super) fn close(&mut self, org: OrgId) {
        self.open.remove(&org);
    }

    fn make_room(&mut self) {
        while self.open.len() >= self.most.get() {
            let oldest = self.open.iter().min_by_key(|(_, file)| file.used);
            let Some(oldest) = oldest.map(|(org, _)| *org) else {
                return;
            };
            self.close(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use stageflow_context::SystemIds;

    use super::*;

    const FULL: i64 = 2;

    /// What no test can see from outside without pulling the plug.
    #[test]
    fn a_file_that_is_written_waits_for_the_disk_and_overwrites_what_it_deletes() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::make(place.path(), Duration::ZERO, Check::AsRead).unwrap();
        let org = OrgId::generate(&SystemIds::new());
        let connection = folder.open_to_write(org, Wish::Write).unwrap().unwrap();
        let number = |pragma| -> i64 {
            let read = connection.pragma_query_value(None, pragma, |row| row.get(0));
            read.unwrap()
        };
        assert_eq!(number("synchronous"), FULL);
        assert_eq!(number("secure_delete"), 1);
        let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        assert_eq!(mode, Ok("wal".to_owned()));
    }
}
