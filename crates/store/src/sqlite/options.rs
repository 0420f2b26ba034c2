//! How a store of files does its work.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{SystemClock, WallClock};

/// How much of a file is looked at when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Its first page. What is wrong elsewhere is noticed when it is read: opening takes no longer for a large file.
    #[default]
    AsRead,
    /// Every page, with `PRAGMA quick_check`: also what is missing between rows is noticed, before anything is read. Takes
    /// about as long as reading the file.
    Whole,
}

/// How a [`SqliteStore`](super::SqliteStore) does its work.
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteOptions {
    pub(super) busy: Duration,
    pub(super) check: Check,
    pub(super) files: NonZeroUsize,
    pub(super) readers: NonZeroUsize,
    pub(super) waiting: NonZeroUsize,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) writers: NonZeroUsize,
}

impl SqliteOptions {
    /// Eight threads that write and two that read, 256 files open at a time, 256 calls of an org that wait to write and as many
    /// to read, five seconds for another process to let go of a file, and the clock of the machine.
    pub fn new() -> Self {
        Self {
            busy: Duration::from_secs(5),
            check: Check::default(),
            files: const { NonZeroUsize::new(256).unwrap() },
            readers: const { NonZeroUsize::new(2).unwrap() },
            waiting: const { NonZeroUsize::new(256).unwrap() },
            wall: Arc::new(SystemClock::new()),
            // They do little but wait for the disk, which brings in the files of many in the time of one.
            writers: const { NonZeroUsize::new(8).unwrap() },
        }
    }

    /// How long to wait for another process that writes to the same file, before it is
    /// [`TooBusy`](crate::StoreErrorKind::TooBusy).
    pub fn busy(mut self, limit: Duration) -> Self {
        self.busy = limit;
        self
    }

    /// How much of a file is looked at when it is opened.
    pub fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// How many files are open at a time, half of them to write and half to read: the one that was not used for longest is
    /// closed. Each thread has its share, and one at least.
    ///
    /// An org in use needs one of each. Closing and opening files costs more than most of what is done to them: with more orgs
    /// in use than a third of this number, raise it. An open file takes up to three of the process's file descriptors.
    pub fn files(mut self, files: NonZeroUsize) -> Self {
        self.files = files;
        self
    }

    /// How many threads read. An org is always read by the same one.
    pub fn readers(mut self, threads: NonZeroUsize) -> Self {
        self.readers = threads;
        self
    }

    /// How many calls of one org may wait to write, and how many to read. Further ones wait outside, as futures do.
    pub fn waiting(mut self, calls: NonZeroUsize) -> Self {
        self.waiting = calls;
        self
    }

    /// By which clock rows expire.
    pub fn wall_clock(mut self, wall: impl WallClock + 'static) -> Self {
        self.wall = Arc::new(wall);
        self
    }

    /// How many threads write. An org is always written by the same one. More of them than the machine has cores is right: a
    /// thread waits for the disk most of the time.
    pub fn writers(mut self, threads: NonZeroUsize) -> Self {
        self.writers = threads;
        self
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}
