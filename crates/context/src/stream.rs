//! What a stage streams to whoever started its run.

use serde_json::Value;

use crate::{RunHost, StageCx};

/// How much of a run its stream tells. Each tier holds those before it.
///
/// ```
/// use stageflow_context::Tier;
///
/// assert!(Tier::Lifecycle < Tier::Chunks && Tier::Chunks < Tier::Debug);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// What the engine says: starts and ends. Notes of stages are events as well, and are among it.
    Lifecycle,
    /// And what stages stream with [`StageCx::chunk`].
    #[default]
    Chunks,
    /// And what they stream with [`StageCx::debug`].
    Debug,
}

impl StageCx {
    /// Streams a piece of what the stage is making, at once or not at all: a token, a row, a percentage.
    ///
    /// It counts as a heartbeat. If nobody reads the run's stream it costs next to nothing; if the reader is so far behind
    /// that there is no room, the piece is missed, and the stream says how many were.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # use std::sync::Arc;
    /// async fn write(cx: StageCx, words: Arc<Vec<String>>) -> Result<String, Stop> {
    ///     for word in words.iter() {
    ///         cx.chunk(word.as_str());
    ///     }
    ///     Ok(words.join(" "))
    /// }
    /// ```
    pub fn chunk(&self, value: impl Into<Value>) {
        self.heartbeat();
        if self.streams(Tier::Chunks) {
            self.host().stream(self, Tier::Chunks, value.into());
        }
    }

    /// The same for what is of interest only to those who look for a defect: see [`Tier::Debug`].
    pub fn debug(&self, value: impl Into<Value>) {
        self.heartbeat();
        if self.streams(Tier::Debug) {
            self.host().stream(self, Tier::Debug, value.into());
        }
    }

    /// Streams a piece, and waits for room if whoever started the run asked for that; otherwise the same as
    /// [`StageCx::chunk`]. It returns at once if nobody reads, or does no longer.
    ///
    /// Only the start of the wait counts as a heartbeat: an idle timeout and the run's deadline go on meanwhile.
    ///
    /// Cancellation safe: dropped while waiting, nothing was streamed.
    pub async fn send_chunk(&self, value: impl Into<Value>) {
        self.heartbeat();
        if self.streams(Tier::Chunks) {
            self.host().stream_when_room(self, value.into()).await;
        }
    }

    /// Whether somebody reads this tier: for pieces that are dear to make.
    #[must_use]
    pub fn streams(&self, tier: Tier) -> bool {
        RunHost::streams(&**self.host(), tier)
    }
}
