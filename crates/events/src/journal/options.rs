//! Where a journal is, and how it is kept.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;

/// How a journal is kept. What is not said: files of 64 MiB, no bound on all of them together, no syncing, a chain through
/// the audit lane, lines in the native form.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use stageflow_events::journal::{Chain, JournalOptions, SyncPolicy};
///
/// let options = JournalOptions::new("/var/log/shop")
///     .keep(NonZeroUsize::new(30).unwrap())
///     .sync(SyncPolicy::Every(Duration::from_secs(1)))
///     .chain(Chain::All);
/// assert_eq!(options.dir().to_str(), Some("/var/log/shop"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalOptions {
    dir: PathBuf,
    rotate_at: NonZeroU64,
    keep: Option<NonZeroUsize>,
    max_bytes: Option<NonZeroU64>,
    sync: SyncPolicy,
    chain: Chain,
    format: Format,
}

/// When the operating system is told to put what was written onto the disk, and is waited for.
///
/// What was written and not synced survives the end of the process, however it ends, but not that of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Never: the operating system does it when it likes, mostly within half a minute.
    #[default]
    Never,
    /// After each batch, before the batch counts as delivered.
    EachBatch,
    /// After the first batch that ends so long after the last time.
    Every(Duration),
}

/// Which lines are chained. The first line of a file always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Chain {
    /// Those of [`Lane::Audit`](crate::Lane::Audit): what the engine says, and notes whose first word is `audit`. Of the other
    /// lines nobody can say whether they were altered.
    #[default]
    Audit,
    /// All.
    All,
    /// None of the records.
    Off,
}

/// How a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// As [`EventRecord`](crate::EventRecord) is.
    #[default]
    Native,
    /// As [`CloudEvent`](crate::CloudEvent): for tools that know that form. About half as long again.
    CloudEvents,
}

impl JournalOptions {
    /// How large a file gets if nothing is said: 64 MiB.
    pub const ROTATE_AT: NonZeroU64 = NonZeroU64::MIN.saturating_add(64 * MIB - 1);

    /// A journal in this folder, which is made if it is not there. Two journals cannot share a folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            rotate_at: Self::ROTATE_AT,
            keep: None,
            max_bytes: None,
            sync: SyncPolicy::default(),
            chain: Chain::default(),
            format: Format::default(),
        }
    }

    /// The same, with files of at most so many bytes. A batch is never split: one that is larger gets a file of its own.
    #[must_use]
    pub fn rotate_at(self, rotate_at: NonZeroU64) -> Self {
        Self { rotate_at, ..self }
    }

    /// The same, where only the newest files are kept, the one that is written to among them. Older ones are deleted when a new
    /// one begins; its first line says how many, and how many records were in them.
    #[must_use]
    pub fn keep(self, files: NonZeroUsize) -> Self {
        Self {
            keep: Some(files),
            ..self
        }
    }

    /// The same, where all files together take at most so many bytes: old ones are deleted as by [`JournalOptions::keep`], and
    /// a file takes at most half of it.
    #[must_use]
    pub fn max_bytes(self, max_bytes: NonZeroU64) -> Self {
        Self {
            max_bytes: Some(max_bytes),
            ..self
        }
    }

    /// The same, synced like this.
    #[must_use]
    pub fn sync(self, sync: SyncPolicy) -> Self {
        Self { sync, ..self }
    }

    /// The same, with these lines chained.
    #[must_use]
    pub fn chain(self, chain: Chain) -> Self {
        Self { chain, ..self }
    }

    /// The same, with lines of this form.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How large a file may get.
    pub(super) fn file_bytes(&self) -> u64 {
        let half = self.max_bytes.map_or(u64::MAX, |total| total.get() / 2);
        self.rotate_at.get().min(half)
    }

    pub(super) fn kept_files(&self) -> usize {
        self.keep.map_or(usize::MAX, NonZeroUsize::get)
    }

    /// How much may be kept when a new file begins.
    pub(super) fn kept_bytes(&self) -> u64 {
        let total = self.max_bytes.map_or(u64::MAX, NonZeroU64::get);
        total.saturating_sub(self.file_bytes())
    }

    pub(super) fn synced(&self) -> SyncPolicy {
        self.sync
    }

    pub(super) fn chained(&self) -> Chain {
        self.chain
    }

    pub(super) fn form(&self) -> Format {
        self.format
    }
}
