//! What a bounded sink does when it is full, when it fails, and when it stops.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Spill;

/// What happens to an event for which there is no room.
///
/// Whatever is chosen, what the engine says ([`Lane::Audit`](crate::Lane::Audit)) comes first: where there is too little
/// room, it takes the place of something that stages say, and never the other way round. What is being delivered keeps its
/// place. An event of the engine is dropped only if there is nothing left that could make room for it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is dropped: the oldest are kept. Where the engine needs room, the newest of what stages said goes.
    #[default]
    DropNewest,
    /// The oldest of what stages said goes, and it is taken: the newest are kept.
    DropOldest,
    /// `emit` waits for room, for so long; then it is dropped. `try_emit` does not wait: for it this is `DropNewest`.
    Wait(Duration),
    /// It goes to disk, and so does everything after it until all of that is delivered: nothing changes its order. Dropped is
    /// only what there is no room for there either; the last quarter of the room is kept for what the engine says.
    ///
    /// `try_emit` writes in place, into the page cache. A transient failure is tried again for as long as it takes. What is
    /// left when the sink ends stays on disk, and the next sink with the same folder delivers it: it counts as queued in the
    /// one, and as offered in the other.
    Spill(Box<Spill>),
}

impl From<Spill> for Overflow {
    fn from(spill: Spill) -> Self {
        Self::Spill(Box::new(spill))
    }
}

/// How often, and how soon, delivery is tried again after a [transient](crate::ExportErrorKind::Transient) failure.
///
/// Delays grow from the first to the longest, each twice the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    pub(super) tries: NonZeroU32,
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl RetryPolicy {
    /// So many tries in all, with delays that grow from `first` to `longest`.
    #[must_use]
    pub const fn new(tries: NonZeroU32, first: Duration, longest: Duration) -> Self {
        Self {
            tries,
            first,
            longest,
        }
    }

    /// One try, and that is it.
    #[must_use]
    pub const fn never() -> Self {
        Self::new(NonZeroU32::MIN, Duration::ZERO, Duration::ZERO)
    }
}

impl Default for RetryPolicy {
    /// Five tries, with delays from 100 ms to 5 s.
    fn default() -> Self {
        let tries = NonZeroU32::MIN.saturating_add(4);
        Self::new(tries, Duration::from_millis(100), Duration::from_secs(5))
    }
}

/// When delivery pauses: after so many failed tries in a row it rests for a while, then tries once. If that fails, too, it
/// rests again.
///
/// What comes meanwhile is queued, and overflows as [`Overflow`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    pub(super) failures: NonZeroU32,
    pub(super) rest: Duration,
}

impl BreakerPolicy {
    /// Rests for `rest` after so many failed tries in a row.
    #[must_use]
    pub const fn new(failures: NonZeroU32, rest: Duration) -> Self {
        Self { failures, rest }
    }
}

impl Default for BreakerPolicy {
    /// Ten failed tries, ten seconds.
    fn default() -> Self {
        let failures = NonZeroU32::MIN.saturating_add(9);
        Self::new(failures, Duration::from_secs(10))
    }
}

/// What becomes of what a sink holds when it is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopping {
    /// It is delivered, as far as that is done before the deadline.
    #[default]
    Drain,
    /// It is discarded, but for what is being delivered just now.
    Discard,
}

/// What came of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a flush may not have come to its end"]
#[non_exhaustive]
pub enum Flushed {
    /// All that was accepted before is settled (delivered, failed or discarded), and the exporter has flushed.
    Done,
    /// The same, but the exporter could not flush; [`Health`](super::Health) has its words.
    Failed,
    /// The deadline came first, or the sink was stopped. So many events are still held.
    NotYet {
        /// How many.
        queued: u64,
    },
}
