//! What a queue did so far.

use std::time::Duration;

/// What a [`ChunkQueue`](crate::ChunkQueue) did so far.
///
/// At any moment `offered = accepted + dropped` and `accepted = taken + queued + discarded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkCounts {
    /// Chunks that were taken in or dropped. One that went back to its sender with an error is not among them.
    pub offered: u64,
    /// Chunks that were taken in.
    pub accepted: u64,
    /// Chunks that were not taken in, because the queue was full.
    pub dropped: u64,
    /// Chunks that a receiver has got.
    pub taken: u64,
    /// Chunks that wait in the queue.
    pub queued: u64,
    /// Chunks that were taken in and went before anybody got them: for newer ones, or because nobody was left.
    pub discarded: u64,
    /// Of those, the ones that made room for newer ones.
    pub displaced: u64,
    /// Chunks that went back to their sender with an error: still the sender's, and counted nowhere else.
    pub refused: u64,
    /// How often a sender had to wait.
    pub waits: u64,
    /// For how long they waited, all together; those that wait now are counted up to now.
    pub waited: Duration,
    /// The most chunks that ever waited in the queue.
    pub deepest: u64,
    /// How often the queue ran nearly full: see [`ChunkSender::is_throttled`](crate::ChunkSender::is_throttled).
    pub throttles: u64,
    /// Events about the queue that nobody took.
    pub untold: u64,
}

impl ChunkCounts {
    /// Which part of what was offered had to go because the queue was full: from 0 to 1.
    ///
    /// ```
    /// let counts = stageflow_streaming::ChunkCounts::default();
    /// assert_eq!(counts.drop_rate(), 0.0);
    /// ```
    #[must_use]
    pub fn drop_rate(&self) -> f64 {
        match self.offered {
            0 => 0.0,
            offered => (self.dropped + self.displaced) as f64 / offered as f64,
        }
    }
}
