//! How far a journal has come, for those who do not write it.

use std::sync::{Arc, Mutex, PoisonError};

use super::JournalHead;

/// Tells how far a journal has come, also when the journal itself was given to a sink. A clone tells of the same one.
#[derive(Clone, Debug)]
pub struct JournalWatch(Arc<Mutex<JournalStatus>>);

/// How far a journal has come, with the last batch that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStatus {
    /// The number and the hash of the last chained line.
    pub head: JournalHead,
    /// How many records it ever took, those in deleted files among them.
    pub records: u64,
    /// The number of the file that is written to, from 1.
    pub file: u64,
    /// How many files were deleted to keep within the journal's bounds.
    pub deleted_files: u64,
    /// How many records were in them.
    pub deleted_records: u64,
    /// How many bytes at its end were no whole line when it was opened: a crash cut the last write short. They are kept beside
    /// the file.
    pub torn_bytes: u64,
}

impl JournalWatch {
    pub(super) fn new(status: JournalStatus) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    pub(super) fn set(&self, status: JournalStatus) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// How far it has come.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number and the hash of the last chained line. Kept where whoever could alter the journal cannot write, it shows
    /// later that nothing up to here is missing: see [`verify_to`](super::verify_to).
    #[must_use]
    pub fn head(&self) -> JournalHead {
        self.status().head
    }
}
