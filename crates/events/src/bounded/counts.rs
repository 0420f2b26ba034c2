//! What a bounded sink says of itself.

use std::fmt;
use std::sync::Arc;

use stageflow_context::OrgId;

use crate::RunHeader;

/// What a [`BoundedSink`](super::BoundedSink) did so far, at one moment.
///
/// At any moment `offered = accepted + dropped` and `accepted = delivered + failed + discarded + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoundedCounts {
    /// Events that were handed to the sink.
    pub offered: u64,
    /// Events it took.
    pub accepted: u64,
    /// Events it did not take.
    pub dropped: u64,
    /// Events that the exporter took.
    pub delivered: u64,
    /// Events that the exporter did not take, and that are given up.
    pub failed: u64,
    /// Events that were taken, and had to go: to make room for others, or because the sink was stopped.
    pub discarded: u64,
    /// Events that it holds; what is being delivered, and what waits on disk, is among them.
    pub queued: u64,
    /// How many of those queued wait on disk.
    pub on_disk: u64,
    /// Marks of losses (`telemetry.dropped`) that the exporter took. They are the sink's own, and stand in no other figure.
    pub markers: u64,
}

/// Why an event did not get to where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// Dropped: whoever waited for room stopped waiting.
    Abandoned,
    /// Dropped: too many bytes were held.
    Bytes,
    /// Dropped: the sink was stopped before.
    Closed,
    /// Dropped: too many events were held.
    Full,
    /// Dropped: it could not be written to disk.
    SpillFailed,
    /// Dropped: there was no room on disk either.
    SpillFull,
    /// Dropped: it is larger than all that the sink may hold.
    TooLarge,
    /// Discarded: something that matters more, or is newer, took its place.
    Evicted,
    /// Discarded: the sink was stopped while it was held.
    Shutdown,
    /// Failed: it came back from disk damaged.
    Damaged,
    /// Failed: the exporter panicked.
    Panicked,
    /// Failed: the exporter said that another try would not help.
    Permanent,
    /// Failed: the exporter refused it for good.
    Refused,
    /// Failed: it was tried as often as [`RetryPolicy`](super::RetryPolicy) allows.
    Retries,
    /// Failed: the exporter took too long, as often as it was tried.
    TimedOut,
}

impl LossReason {
    /// How many there are.
    pub(super) const COUNT: usize = Self::TimedOut as usize + 1;

    /// All of them, in the order of the declaration.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Abandoned,
        Self::Bytes,
        Self::Closed,
        Self::Full,
        Self::SpillFailed,
        Self::SpillFull,
        Self::TooLarge,
        Self::Evicted,
        Self::Shutdown,
        Self::Damaged,
        Self::Panicked,
        Self::Permanent,
        Self::Refused,
        Self::Retries,
        Self::TimedOut,
    ];

    /// Whether there may be room later.
    pub(super) const fn may_pass(self) -> bool {
        matches!(self, Self::Full | Self::Bytes | Self::SpillFull)
    }

    /// In lower case, as counters and records spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Bytes => "bytes",
            Self::Closed => "closed",
            Self::Full => "full",
            Self::SpillFailed => "spill_failed",
            Self::SpillFull => "spill_full",
            Self::TooLarge => "too_large",
            Self::Evicted => "evicted",
            Self::Shutdown => "shutdown",
            Self::Damaged => "damaged",
            Self::Panicked => "panicked",
            Self::Permanent => "permanent",
            Self::Refused => "refused",
            Self::Retries => "retries",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many events of one type, for one reason and one org, did not get to where they should.
///
/// There are at most 1024 such rows; what does not fit is counted under the type `other`, by reason only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossCount {
    /// The events' type, such as `stage.started`; of a note its name.
    pub kind: Arc<str>,
    /// Why.
    pub reason: LossReason,
    /// The org they were of, if it is known.
    pub org: Option<OrgId>,
    /// How many.
    pub count: u64,
}

/// Some events of one run and one type that were lost for one reason: what the hook for losses is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loss {
    /// Whose they were; nobody's that is known if they come back from disk.
    pub run: Option<Arc<RunHeader>>,
    /// Their type, such as `stage.started`; of a note its name.
    pub kind: Arc<str>,
    /// Why.
    pub reason: LossReason,
    /// The place of the first of them in their run.
    pub first_seq: u64,
    /// The place of the last.
    pub last_seq: u64,
    /// How many. There may be others between the first and the last.
    pub count: u64,
}

/// Whether delivery works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it is tried at all.
    pub breaker: BreakerState,
    /// How many tries failed since the last that did not.
    pub failures_in_a_row: u32,
    /// What the last failed try said, however long ago.
    pub last_error: Option<Arc<str>>,
}

/// Whether delivery is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// It is.
    #[default]
    Closed,
    /// It rests, because too many tries failed in a row.
    Open,
    /// It has rested, and tries once.
    Probing,
}
