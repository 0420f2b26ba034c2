//! Where chunks go in.

use std::fmt;
use std::sync::Arc;

use tokio::sync::TryAcquireError;
use tokio::time::Instant;

use crate::queue::Shared;
use crate::state::Pushed;
use crate::{ChunkCounts, OnFull, SendError, SendErrorKind};

/// What became of a chunk that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent<T> {
    /// It is in the queue.
    Queued,
    /// It was dropped, because the queue is full: here it is.
    Dropped(T),
    /// It is in the queue, and this one, the oldest, had to go.
    Displaced(T),
}

/// Puts chunks into a queue. When the last one is dropped the queue is closed.
pub struct ChunkSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> ChunkSender<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Puts `chunk` into the queue; if that is full, does what the queue's [`OnFull`] says. Only [`OnFull::Wait`] waits, and
    /// those who wait get in in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the queue is closed, also while this waits. It holds the chunk.
    ///
    /// # Cancellation
    ///
    /// Cancellation safe: dropped while it waits, the chunk was not sent, and the place goes to the next who waits.
    pub async fn send(&self, chunk: T) -> Result<Sent<T>, SendError<T>> {
        if self.shared.on_full != OnFull::Wait {
            return self.offer(chunk);
        }
        match self.shared.room.try_acquire() {
            Ok(place) => place.forget(),
            Err(TryAcquireError::Closed) => return Err(self.refuse(SendErrorKind::Closed, chunk)),
            Err(TryAcquireError::NoPermits) => {
                let waiting = Waiting::begin(&self.shared);
                let place = self.shared.room.acquire().await;
                drop(waiting);
                match place {
                    Ok(place) => place.forget(),
                    Err(_closed) => return Err(self.refuse(SendErrorKind::Closed, chunk)),
                }
            }
        }
        self.fill(chunk)
    }

    /// The same, without waiting.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the queue is closed, or if it is full and says [`OnFull::Wait`]. It holds the chunk.
    pub fn try_send(&self, chunk: T) -> Result<Sent<T>, SendError<T>> {
        if self.shared.on_full != OnFull::Wait {
            return self.offer(chunk);
        }
        match self.shared.room.try_acquire() {
            Ok(place) => place.forget(),
            Err(TryAcquireError::Closed) => return Err(self.refuse(SendErrorKind::Closed, chunk)),
            Err(TryAcquireError::NoPermits) => {
                return Err(self.refuse(SendErrorKind::Full, chunk));
            }
        }
        self.fill(chunk)
    }

    /// Closes the queue: nothing goes in any more, senders that wait get their chunk back, and receivers get what is in it
    /// and then `None`. To close it twice is the same as once.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether the queue is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.with(|state| state.is_closed())
    }

    /// Whether it would be good to send less: from four fifths of the capacity on, until it is down to one fifth.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.shared.with(|state| state.is_throttled())
    }

    /// What the queue did so far.
    #[must_use]
    pub fn counts(&self) -> ChunkCounts {
        self.shared.with(|state| state.counts())
    }

    /// Puts the chunk into the place that was kept for it.
    fn fill(&self, chunk: T) -> Result<Sent<T>, SendError<T>> {
        self.settle(self.shared.with(|state| state.push(chunk)))
    }

    fn offer(&self, chunk: T) -> Result<Sent<T>, SendError<T>> {
        self.settle(self.shared.with(|state| match self.shared.on_full {
            OnFull::DropOldest => state.push_or_displace(chunk),
            OnFull::DropNewest | OnFull::Wait => state.push_or_drop(chunk),
        }))
    }

    fn settle(&self, pushed: Pushed<T>) -> Result<Sent<T>, SendError<T>> {
        let sent = match pushed {
            Pushed::Closed(chunk) => return Err(self.refuse(SendErrorKind::Closed, chunk)),
            Pushed::Full(chunk) => return Ok(Sent::Dropped(chunk)),
            Pushed::Displaced(oldest) => Sent::Displaced(oldest),
            Pushed::Queued => Sent::Queued,
        };
        self.shared.filled.notify_one();
        Ok(sent)
    }

    fn refuse(&self, kind: SendErrorKind, chunk: T) -> SendError<T> {
        self.shared.with(|state| state.refused());
        SendError::new(&self.shared.name, kind, chunk)
    }
}

impl<T> Clone for ChunkSender<T> {
    fn clone(&self) -> Self {
        self.shared.with(|state| state.senders += 1);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for ChunkSender<T> {
    fn drop(&mut self) {
        let last = self.shared.with(|state| {
            state.senders -= 1;
            state.senders == 0
        });
        if last {
            self.shared.close();
        }
    }
}

impl<T> fmt::Debug for ChunkSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "ChunkSender")
    }
}

/// A sender that waits: counted however its wait ends.
struct Waiting<'a, T> {
    shared: &'a Shared<T>,
    began: Option<Instant>,
}

impl<'a, T> Waiting<'a, T> {
    fn begin(shared: &'a Shared<T>) -> Self {
        Self {
            began: shared.with(|state| state.wait_began()),
            shared,
        }
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            self.shared.with(|state| state.wait_ended(began));
        }
    }
}
