//! What a journal needs of a disk. A port, so that tests can have one that is full.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes, opens and deletes files.
pub(super) trait Disk: Send + Sync + Debug {
    /// An empty file, in the place of one that may be there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>>;

    /// A file that is there, to write behind its end.
    fn reopen(&self, path: &Path) -> io::Result<Arc<dyn Log>>;

    /// Deletes a file. It is no error if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file that is written at its end.
pub(super) trait Log: Send + Sync + Debug {
    /// Writes all of it, or fails, after which some of it may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts off what is behind the first `length` bytes.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Waits until everything is on the disk. Blocks.
    fn sync(&self) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct FileSystem;

impl Disk for FileSystem {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(path)?;
        file.set_len(0)?;
        Ok(Arc::new(FileLog::new(file, path, true)))
    }

    fn reopen(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Arc::new(FileLog::new(file, path, false)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct FileLog {
    file: File,
    dir: PathBuf,
    /// Whether the folder's entry for it may not be on the disk yet.
    is_new: AtomicBool,
}

impl FileLog {
    fn new(file: File, path: &Path, is_new: bool) -> Self {
        Self {
            file,
            dir: path.parent().map(Path::to_owned).unwrap_or_default(),
            is_new: AtomicBool::new(is_new),
        }
    }
}

impl Log for FileLog {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        if cfg!(unix) && self.is_new.swap(false, Ordering::Relaxed) {
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(())
    }
}
