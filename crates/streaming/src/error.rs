//! What can go wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A chunk that was not taken in. It is still the sender's: [`SendError::into_chunk`].
pub struct SendError<T> {
    queue: Arc<str>,
    kind: SendErrorKind,
    chunk: T,
}

/// Why a chunk was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The queue is closed, or nobody is left to take from it.
    Closed,
    /// There is no room now, and the sender did not want to wait.
    Full,
}

impl<T> SendError<T> {
    pub(crate) fn new(queue: &Arc<str>, kind: SendErrorKind, chunk: T) -> Self {
        Self {
            queue: Arc::clone(queue),
            kind,
            chunk,
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            SendErrorKind::Closed => "SF0561",
            SendErrorKind::Full => "SF0562",
        }
    }

    /// The chunk.
    #[must_use]
    pub fn into_chunk(self) -> T {
        self.chunk
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: queue {:?} took no chunk, ", self.code(), self.queue)?;
        f.write_str(match self.kind {
            SendErrorKind::Closed => {
                "because it is closed; let the sender end before it closes the queue, or stop sending"
            }
            SendErrorKind::Full => {
                "because it is full; wait for room with `send`, or choose what goes with `OnFull`"
            }
        })
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("queue", &self.queue)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<T> std::error::Error for SendError<T> {}

/// A playout buffer that could never start to play: it would have to hold more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{code}: the playout buffer is to hold {target:?} before it plays, which is more than its maximum of {max:?}; raise the maximum, or make the target lower",
    code = self.code()
)]
pub struct PlayoutError {
    target: Duration,
    max: Duration,
}

impl PlayoutError {
    pub(crate) fn new(target: Duration, max: Duration) -> Self {
        Self { target, max }
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0563"
    }
}
