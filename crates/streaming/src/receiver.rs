//! Where chunks come out.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{self, Stream};

use crate::queue::Shared;
use crate::{ChunkCounts, OnFull};

/// Takes chunks out of a queue, oldest first. Clones share them: each chunk goes to one of them.
///
/// When the last one is dropped the queue is closed, and what is left in it is counted as discarded.
pub struct ChunkReceiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> ChunkReceiver<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// The next chunk; waits for one. `None` if the queue is closed and empty, for every receiver and for good.
    ///
    /// # Cancellation
    ///
    /// Cancellation safe: dropped while it waits, no chunk was taken.
    pub async fn recv(&self) -> Option<T> {
        loop {
            let mut filled = pin!(self.shared.filled.notified());
            // First in line, then a look: a chunk that comes in between is not missed.
            filled.as_mut().enable();
            let (chunk, closed) = self.shared.with(|state| (state.pop(), state.is_closed()));
            if let Some(chunk) = chunk {
                self.made_room();
                return Some(chunk);
            }
            if closed {
                return None;
            }
            filled.await;
        }
    }

    /// The next chunk, if there is one now.
    #[must_use]
    pub fn try_recv(&self) -> Option<T> {
        let chunk = self.shared.with(|state| state.pop())?;
        self.made_room();
        Some(chunk)
    }

    /// Its chunks as a `futures::Stream`, which ends with the queue.
    pub fn into_stream(self) -> impl Stream<Item = T> {
        stream::unfold(self, |receiver| async move {
            let chunk = receiver.recv().await?;
            Some((chunk, receiver))
        })
    }

    /// Closes the queue: see [`ChunkSender::close`](crate::ChunkSender::close).
    pub fn close(&self) {
        self.shared.close();
    }

    /// What the queue did so far.
    #[must_use]
    pub fn counts(&self) -> ChunkCounts {
        self.shared.with(|state| state.counts())
    }

    fn made_room(&self) {
        if self.shared.on_full == OnFull::Wait {
            self.shared.room.add_permits(1);
        }
    }
}

impl<T> Clone for ChunkReceiver<T> {
    fn clone(&self) -> Self {
        self.shared.with(|state| state.receivers += 1);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for ChunkReceiver<T> {
    fn drop(&mut self) {
        let rest = self.shared.with(|state| {
            state.receivers -= 1;
            (state.receivers == 0).then(|| (state.abandon(), state.close()))
        });
        // The chunks are dropped here, without the lock: they may be anything.
        if let Some((_chunks, true)) = rest {
            self.shared.wake_all();
        }
    }
}

impl<T> fmt::Debug for ChunkReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "ChunkReceiver")
    }
}
