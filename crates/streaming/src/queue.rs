//! A bounded queue of chunks.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use crate::state::State;
use crate::{ChunkReceiver, ChunkSender, Tell};

/// What happens to a chunk that is sent while the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// The sender waits until there is room: nothing is lost, and a slow receiver slows its senders down.
    #[default]
    Wait,
    /// It is dropped: what is in the queue stays as it is.
    DropNewest,
    /// It is taken in, and the oldest chunk in the queue goes: what is in the queue is never stale.
    DropOldest,
}

/// A queue of chunks between those who make them and those who use them, which never holds more than its capacity.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stageflow_streaming::{ChunkQueue, OnFull};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let capacity = NonZeroUsize::new(8).ok_or("zero")?;
/// let (sender, receiver) = ChunkQueue::new(capacity, OnFull::Wait).named("words").split();
/// let sending = async move {
///     for word in ["a", "few", "words"] {
///         sender.send(word).await?;
///     }
///     Ok::<_, stageflow_streaming::SendError<_>>(()) // the last sender is gone: the queue is closed
/// };
/// let receiving = async {
///     let mut words = Vec::new();
///     while let Some(word) = receiver.recv().await {
///         words.push(word);
///     }
///     words
/// };
/// let (sent, words) = tokio::join!(sending, receiving);
/// sent?;
/// assert_eq!(words, ["a", "few", "words"]);
/// assert_eq!(receiver.counts().taken, 3);
/// # Ok(()) }
/// ```
#[must_use = "a queue does nothing before it is split"]
pub struct ChunkQueue<T> {
    shared: Shared<T>,
}

impl<T> ChunkQueue<T> {
    /// A queue of at most `capacity` chunks. Room is taken as chunks come.
    pub fn new(capacity: NonZeroUsize, on_full: OnFull) -> Self {
        Self {
            shared: Shared {
                name: Arc::from("chunks"),
                on_full,
                room: Semaphore::new(capacity.get().min(Semaphore::MAX_PERMITS)),
                filled: Notify::new(),
                state: Mutex::new(State::new(capacity, false)),
                tell: None,
                capacity,
            },
        }
    }

    /// The same, under a name of its own in events and errors. Without one it is `chunks`.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.shared.name = name.into();
        self
    }

    /// The same, which says what happens to it: most often to the stage's `StageCx`.
    pub fn telling(mut self, tell: impl Tell) -> Self {
        self.shared.tell = Some(Box::new(tell));
        self.shared.state = Mutex::new(State::new(self.shared.capacity, true));
        self
    }

    /// Its two ends. Both can be cloned; several receivers share the chunks among them.
    #[must_use]
    pub fn split(self) -> (ChunkSender<T>, ChunkReceiver<T>) {
        let shared = Arc::new(self.shared);
        (
            ChunkSender::new(Arc::clone(&shared)),
            ChunkReceiver::new(shared),
        )
    }
}

impl<T> fmt::Debug for ChunkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "ChunkQueue")
    }
}

/// What the two ends have in common.
pub(crate) struct Shared<T> {
    pub(crate) name: Arc<str>,
    pub(crate) on_full: OnFull,
    /// Free places, for senders that wait; they get them in the order in which they came.
    pub(crate) room: Semaphore,
    pub(crate) filled: Notify,
    state: Mutex<State<T>>,
    tell: Option<Box<dyn Tell>>,
    capacity: NonZeroUsize,
}

impl<T> Shared<T> {
    /// Does something with the state, and then says what there is to say about it, without the lock.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state);
        let news = state.has_news();
        drop(state);
        if news {
            self.speak();
        }
        result
    }

    /// Takes nothing in from now on, and wakes everybody who waits.
    pub(crate) fn close(&self) {
        if self.with(State::close) {
            self.wake_all();
        }
    }

    /// Wakes everybody who waits: the queue was closed.
    pub(crate) fn wake_all(&self) {
        self.room.close();
        self.filled.notify_waiters();
    }

    #[cold]
    fn speak(&self) {
        let Some(tell) = &self.tell else { return };
        loop {
            let Some(saying) = self.lock().next_saying() else {
                return;
            };
            let mut said = Said {
                shared: self,
                taken: None,
            };
            said.taken = tell.tell(saying.name(), saying.payload(&self.name)).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No call in between can panic: chunks are dropped, and others are told, outside.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("on_full", &self.on_full)
            .field("counts", &self.lock().counts())
            .finish_non_exhaustive()
    }
}

/// Lets the next one speak, also if what was told panicked.
struct Said<'a, T> {
    shared: &'a Shared<T>,
    taken: Option<()>,
}

impl<T> Drop for Said<'_, T> {
    fn drop(&mut self) {
        self.shared.lock().said(self.taken);
    }
}
