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
use super::{schema, trouble};
use crate::StoreError;

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
        Ok(Self {
            path: fs::canonicalize(path).map_err(trouble::on_disk(doing))?,
            busy,
            check,
        })
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
        if !exists(&file)? {
            match wish {
                Wish::Look => return Ok(None),
                Wish::Write => self.create(&file)?,
            }
        }
        let mut connection = self.connect(&file)?;
        schema::look(&connection)?;
        let doing = "opening a file to write";
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;",
            )
            .map_err(trouble::of(doing))?;
        schema::bring_up(&mut connection)?;
        if self.check == Check::Whole {
            whole(&connection)?;
        }
        Ok(Some(connection))
    }

    /// Opens a file to read. `None` if it is not there.
    pub(super) fn open_to_read(&self, org: OrgId) -> Result<Option<Connection>, StoreError> {
        let file = self.file(org);
        if !exists(&file)? {
            return Ok(None);
        }
        let connection = self.connect(&file)?;
        schema::look(&connection)?;
        connection
            .execute_batch("PRAGMA query_only = ON;")
            .map_err(trouble::of("opening a file to read"))?;
        Ok(Some(connection))
    }

    /// Makes a file under another name first: one that has its name is whole, so that an empty one was cut. It is brought to
    /// the disk once, at the end: until then whatever goes wrong, what is there is thrown away.
    fn create(&self, file: &Path) -> Result<(), StoreError> {
        let doing = "making a file";
        let fresh = file.with_extension("db.new");
        for left in ["db.new", "db.new-journal", "db.new-wal", "db.new-shm"] {
            remove(&file.with_extension(left)).map_err(trouble::on_disk(doing))?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(&fresh).map_err(trouble::on_disk(doing))?;
        schema::create(self.connect(&fresh)?)?;
        opened.sync_all().map_err(trouble::on_disk(doing))?;
        // Closed later, it would take with it the locks of whoever opens the file by its name.
        drop(opened);
        // A link does not write over what another process has made meanwhile.
        match fs::hard_link(&fresh, file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(trouble::on_disk(doing)(error));
            }
            _ => {}
        }
        remove(&fresh).map_err(trouble::on_disk(doing))?;
        let folder = fs::File::open(&self.path).and_then(|folder| folder.sync_all());
        folder.map_err(trouble::on_disk(doing))
    }

    fn connect(&self, file: &Path) -> Result<Connection, StoreError> {
        let doing = "opening a file";
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
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

fn exists(file: &Path) -> Result<bool, StoreError> {
    file.try_exists()
        .map_err(trouble::on_disk("looking for a file"))
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
