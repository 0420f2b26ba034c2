//! What the reader of a stream wants.

use std::num::NonZeroUsize;

use stageflow_context::Tier;

/// What the reader of a run's stream wants: see [`Run::stream`](crate::Run::stream).
///
/// ```
/// use stageflow_context::Tier;
/// use stageflow_executor::StreamOptions;
/// use std::num::NonZeroUsize;
///
/// let all_there_is = StreamOptions::new().tier(Tier::Debug).capacity(NonZeroUsize::new(64).unwrap());
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct StreamOptions {
    pub(super) tier: Tier,
    pub(super) capacity: NonZeroUsize,
    pub(super) full: WhenFull,
}

/// What becomes of a chunk that there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// It is missed: the run goes on.
    Miss,
    /// A stage that streams it with `send_chunk` waits.
    Wait,
}

impl StreamOptions {
    /// Chunks, at most 1024 of them unread, and no stage waits for the reader.
    pub fn new() -> Self {
        Self {
            tier: Tier::default(),
            capacity: const { NonZeroUsize::new(1024).unwrap() },
            full: WhenFull::Miss,
        }
    }

    /// How much is told.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// How many pieces and notes of stages may be unread: what comes on top is missed, and counted.
    ///
    /// What the engine says has room of its own: as much again, or two events for each stage of the pipeline if that is
    /// more. The run's end always has room. What runs that its stages start tell takes the room of pieces, events and all.
    pub fn capacity(mut self, items: NonZeroUsize) -> Self {
        self.capacity = items;
        self
    }

    /// Stages that use [`StageCx::send_chunk`](stageflow_context::StageCx::send_chunk) wait when there is no room, and nothing
    /// that they stream is missed. The run is as slow as its reader then: a reader that neither reads nor is dropped
    /// holds it up until its deadline.
    pub fn wait_for_reader(mut self) -> Self {
        self.full = WhenFull::Wait;
        self
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of the items of a stream so far: `offered = delivered + missed + unread`, at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamCounts {
    /// Everything of the stream's tier, as far as it has come to the stream.
    pub offered: u64,
    /// What the reader was given; marks of gaps do not count.
    pub delivered: u64,
    /// What there was no room for, whether the reader has been told or not.
    pub missed: u64,
    /// What waits for the reader.
    pub unread: u64,
}
