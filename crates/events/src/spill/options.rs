//! Where a spill is, and how large it may grow.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

/// Where events wait that a bounded sink has no room for in memory, and how much room they may take there.
///
/// ```
/// use std::num::NonZeroU64;
/// use stageflow_events::SpillOptions;
///
/// let options = SpillOptions::new("/var/lib/shop/events").max_bytes(NonZeroU64::new(64 << 20).unwrap());
/// assert_eq!(options.dir().to_str(), Some("/var/lib/shop/events"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpillOptions {
    dir: PathBuf,
    max_bytes: NonZeroU64,
    segment_bytes: NonZeroU64,
}

impl SpillOptions {
    /// How much a spill holds if nothing is said: 256 MiB.
    pub const MAX_BYTES: NonZeroU64 = NonZeroU64::MIN.saturating_add(256 * MIB - 1);

    /// How large one of its files gets if nothing is said: 4 MiB.
    pub const SEGMENT_BYTES: NonZeroU64 = NonZeroU64::MIN.saturating_add(4 * MIB - 1);

    /// A spill in this folder, which is made if it is not there. Two sinks cannot share a folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_bytes: Self::MAX_BYTES,
            segment_bytes: Self::SEGMENT_BYTES,
        }
    }

    /// The same, where all files together take at most so many bytes on disk.
    #[must_use]
    pub fn max_bytes(self, max_bytes: NonZeroU64) -> Self {
        Self { max_bytes, ..self }
    }

    /// The same, where one file takes at most so many bytes, and so does a record. Room is given back a file at a time:
    /// small files give it back sooner. Never more than [`SpillOptions::max_bytes`].
    #[must_use]
    pub fn segment_bytes(self, segment_bytes: NonZeroU64) -> Self {
        Self {
            segment_bytes,
            ..self
        }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn total(&self) -> u64 {
        self.max_bytes.get()
    }

    pub(super) fn segment(&self) -> u64 {
        self.segment_bytes.min(self.max_bytes).get()
    }
}
