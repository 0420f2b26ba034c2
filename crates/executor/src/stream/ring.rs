//! The items that wait for a stream's reader.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::Stream;
use stageflow_context::{RunId, Tier};
use stageflow_events::EventKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::options::WhenFull;
use super::tap::{Offer, Offered};
use super::{StreamCounts, StreamItem, StreamKind, StreamOptions};

/// Room for one piece, from the moment a stage has offered it until it is read.
pub(super) type Permit = OwnedSemaphorePermit;

/// What lies between a run and the reader of its stream.
pub(crate) struct Ring {
    options: StreamOptions,
    run: RunId,
    started: Instant,
    /// Room for what stages say.
    room: Arc<Semaphore>,
    /// How many events of the engine's may be unread.
    events: usize,
    /// Nobody reads any more, or nothing is told any more.
    over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    unread: VecDeque<Unread>,
    /// What was missed since the last of these.
    missed: u64,
    counts: StreamCounts,
    events: usize,
    last: Duration,
    reader: Option<Waker>,
}

struct Unread {
    /// How many items are missing before it.
    missed: u64,
    item: StreamItem,
    room: Option<Permit>,
}

impl Ring {
    /// For a run of a pipeline with so many stages.
    pub(crate) fn new(
        options: StreamOptions,
        run: RunId,
        started: Instant,
        stages: usize,
    ) -> Arc<Self> {
        let capacity = options.capacity.get().min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            options,
            run,
            started,
            room: Arc::new(Semaphore::new(capacity)),
            events: capacity.max(2 * stages + 2),
            over: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    /// Whether somebody reads this tier.
    pub(super) fn wants(&self, tier: Tier) -> bool {
        tier <= self.options.tier && !self.over.load(Ordering::Relaxed)
    }

    /// Room for a piece, if there is some now.
    pub(super) fn room(&self) -> Option<Permit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Room for a piece, if there is some now or the reader wants stages to wait for it.
    pub(super) async fn room_in_time(&self) -> Option<Permit> {
        match self.options.full {
            WhenFull::Miss => self.room(),
            WhenFull::Wait => Arc::clone(&self.room).acquire_owned().await.ok(),
        }
    }

    /// Puts an item in its place, or counts it as missed there.
    pub(super) fn push(&self, offer: Offer) {
        if self.over.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        let at = state
            .last
            .max(offer.at.saturating_duration_since(self.started));
        state.last = at;
        let (kind, room) = match offer.what {
            Offered::Missed(missed) => return state.miss(missed.get()),
            Offered::Chunk(value, room) => (StreamKind::Chunk(value), Some(room)),
            Offered::Debug(value, room) => (StreamKind::Debug(value), Some(room)),
            Offered::Event(event, room) => {
                let room = match room {
                    Some(room) => Some(room),
                    None if is_of_a_stage(&event) => match self.room() {
                        None => return state.miss(1),
                        room => room,
                    },
                    None if state.events >= self.events && !self.is_the_end(&event, offer.run) => {
                        return state.miss(1);
                    }
                    None => {
                        state.events += 1;
                        None
                    }
                };
                (StreamKind::Lifecycle(event), room)
            }
        };
        let item = StreamItem {
            seq: state.counts.offered,
            at,
            run: offer.run,
            path: offer.path,
            attempt: offer.attempt,
            kind,
        };
        let missed = std::mem::take(&mut state.missed);
        state.counts.offered += 1;
        state.counts.unread += 1;
        state.unread.push_back(Unread { missed, item, room });
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing more is told.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        self.over.store(true, Ordering::Relaxed);
        self.room.close();
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn is_the_end(&self, event: &EventKind, run: RunId) -> bool {
        matches!(event, EventKind::RunEnded { .. }) && run == self.run
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections can panic half-way: pushes, pops and counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is up to stages how many of these there are: they take the room of pieces.
fn is_of_a_stage(event: &EventKind) -> bool {
    matches!(
        event,
        EventKind::Note { .. } | EventKind::OperationEnded(_) | EventKind::OperationStarted(_)
    )
}

impl State {
    fn miss(&mut self, items: u64) {
        self.missed += items;
        self.counts.offered += items;
        self.counts.missed += items;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The next item, or the mark of the gap before it.
    fn pop(&mut self, run: RunId) -> Option<StreamItem> {
        let (missed, seq, at) = match self.unread.front_mut() {
            Some(next) => (
                std::mem::take(&mut next.missed),
                next.item.seq,
                next.item.at,
            ),
            None => (
                std::mem::take(&mut self.missed),
                self.counts.offered,
                self.last,
            ),
        };
        if let Some(missed) = NonZeroU64::new(missed) {
            return Some(StreamItem {
                seq: seq - missed.get(),
                at,
                run,
                path: Arc::from(""),
                attempt: None,
                kind: StreamKind::Lagged { missed },
            });
        }
        let Unread { item, room, .. } = self.unread.pop_front()?;
        if room.is_none() {
            self.events -= 1;
        }
        self.counts.unread -= 1;
        self.counts.delivered += 1;
        Some(item)
    }
}

/// What happens in a run, while it happens: see [`Run::stream`](crate::Run::stream).
///
/// Read it with [`RunStream::next`], or as a [`Stream`]. It ends after the run's last event. Dropping it ends the streaming
/// and never the run.
#[must_use = "a stream that is not read is missed"]
pub struct RunStream {
    ring: Arc<Ring>,
}

impl RunStream {
    pub(crate) fn new(ring: Arc<Ring>) -> Self {
        Self { ring }
    }

    /// The next item; `None` after the last. Cancellation safe: what was not given is given the next time.
    pub async fn next(&mut self) -> Option<StreamItem> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The next item, if there is one already.
    #[must_use]
    pub fn try_next(&mut self) -> Option<StreamItem> {
        self.ring.lock().pop(self.ring.run)
    }

    /// What became of the items so far.
    #[must_use]
    pub fn counts(&self) -> StreamCounts {
        self.ring.lock().counts
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<StreamItem>> {
        let mut state = self.ring.lock();
        if let Some(item) = state.pop(self.ring.run) {
            return Poll::Ready(Some(item));
        }
        if self.ring.over.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Stream for RunStream {
    type Item = StreamItem;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StreamItem>> {
        self.poll(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ring.lock().unread.len(), None)
    }
}

impl Drop for RunStream {
    fn drop(&mut self) {
        self.ring.close();
        let unread = std::mem::take(&mut self.ring.lock().unread);
        drop(unread);
    }
}

impl fmt::Debug for RunStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunStream")
            .field("run", &self.ring.run)
            .field("options", &self.ring.options)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
