//! What a queue holds, counts and has to say: no lock, no waiting.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;

use crate::ChunkCounts;
use crate::pace::Pace;
use crate::saying::{Lost, Saying};

/// From this part of the capacity on, in hundredths, the queue is nearly full; at the other it is no longer.
const HIGH: u128 = 80;
const LOW: u128 = 20;

pub(crate) struct State<T> {
    chunks: VecDeque<T>,
    counts: ChunkCounts,
    capacity: usize,
    high: usize,
    low: usize,
    closed: bool,
    throttled: bool,
    waits: Waits,
    news: News,
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
}

/// Senders that wait now: how many, and when they began, as the sum of the times since the first wait of all.
#[derive(Default)]
struct Waits {
    now: u32,
    began: Duration,
    epoch: Option<Instant>,
}

/// What is to be said, in order. Each kind is said at most once a second, so a few places are enough.
#[derive(Default)]
struct News {
    wanted: bool,
    saying: bool,
    outbox: VecDeque<Saying>,
    lost: Pace,
    blocked: Pace,
    throttle: Pace,
    throttle_told: bool,
}

/// What became of a chunk.
pub(crate) enum Pushed<T> {
    Closed(T),
    Displaced(T),
    Full(T),
    Queued,
}

impl<T> State<T> {
    pub(crate) fn new(capacity: NonZeroUsize, told: bool) -> Self {
        let part = |of: u128| capacity.get() as u128 * of;
        Self {
            chunks: VecDeque::new(),
            counts: ChunkCounts::default(),
            capacity: capacity.get(),
            high: part(HIGH).div_ceil(100) as usize,
            low: (part(LOW) / 100) as usize,
            closed: false,
            throttled: false,
            waits: Waits::default(),
            news: News {
                wanted: told,
                ..News::default()
            },
            senders: 1,
            receivers: 1,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn is_throttled(&self) -> bool {
        self.throttled
    }

    pub(crate) fn counts(&self) -> ChunkCounts {
        ChunkCounts {
            queued: self.chunks.len() as u64,
            waited: self.counts.waited + self.waits.under_way(),
            ..self.counts
        }
    }

    /// Takes `chunk` in if there is room.
    pub(crate) fn push(&mut self, chunk: T) -> Pushed<T> {
        if self.closed {
            return Pushed::Closed(chunk);
        }
        if self.chunks.len() >= self.capacity {
            return Pushed::Full(chunk);
        }
        self.keep(chunk);
        Pushed::Queued
    }

    /// Takes `chunk` in if there is room; if there is none it is lost.
    pub(crate) fn push_or_drop(&mut self, chunk: T) -> Pushed<T> {
        let pushed = self.push(chunk);
        if matches!(pushed, Pushed::Full(_)) {
            self.counts.offered += 1;
            self.counts.dropped += 1;
            self.lost(Lost::Newest);
        }
        pushed
    }

    /// Takes `chunk` in; if there is no room the oldest goes.
    pub(crate) fn push_or_displace(&mut self, chunk: T) -> Pushed<T> {
        match self.push(chunk) {
            Pushed::Full(chunk) => {
                let oldest = self.chunks.pop_front();
                self.counts.discarded += 1;
                self.counts.displaced += 1;
                self.keep(chunk);
                self.lost(Lost::Oldest);
                oldest.map_or(Pushed::Queued, Pushed::Displaced)
            }
            pushed => pushed,
        }
    }

    fn keep(&mut self, chunk: T) {
        self.chunks.push_back(chunk);
        self.counts.offered += 1;
        self.counts.accepted += 1;
        self.counts.deepest = self.counts.deepest.max(self.chunks.len() as u64);
        self.latch();
    }

    /// A chunk went back to its sender.
    pub(crate) fn refused(&mut self) {
        self.counts.refused += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let chunk = self.chunks.pop_front()?;
        self.counts.taken += 1;
        self.latch();
        Some(chunk)
    }

    /// A sender begins to wait; gives since when, unless the queue is closed.
    pub(crate) fn wait_began(&mut self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let now = Instant::now();
        self.counts.waits += 1;
        self.waits.now += 1;
        self.waits.began += now - *self.waits.epoch.get_or_insert(now);
        Some(now)
    }

    /// A sender that began to wait then waits no longer.
    pub(crate) fn wait_ended(&mut self, began: Instant) {
        // When the queue was closed, all that wait were counted.
        if self.closed {
            return;
        }
        let now = Instant::now();
        let epoch = self.waits.epoch.unwrap_or(began);
        self.waits.now -= 1;
        self.waits.began -= began - epoch;
        self.counts.waited += now - began;
        self.news.blocked.add(now - began);
        if let Some(due) = self.news.blocked.due(now) {
            self.say(|state| state.blocked(due));
        }
    }

    /// Takes nothing in from now on. Gives whether that is new.
    pub(crate) fn close(&mut self) -> bool {
        if self.closed {
            return false;
        }
        self.counts.waited += self.waits.under_way();
        if self.waits.now > 0 {
            self.news.blocked.add(self.waits.under_way());
        }
        self.waits.now = 0;
        self.closed = true;
        self.say_what_is_left();
        true
    }

    /// Nobody is left to take what is in the queue.
    pub(crate) fn abandon(&mut self) -> VecDeque<T> {
        let rest = std::mem::take(&mut self.chunks);
        self.counts.discarded += rest.len() as u64;
        if !rest.is_empty() {
            let count = rest.len() as u64;
            self.say(|state| state.lost_saying(Lost::Abandoned, count));
        }
        rest
    }

    fn latch(&mut self) {
        let depth = self.chunks.len();
        if self.throttled {
            self.throttled = depth > self.low;
        } else if depth >= self.high {
            self.throttled = true;
            self.counts.throttles += 1;
        }
        if self.news.wanted && !self.closed && self.throttled != self.news.throttle_told {
            self.news.throttle.add(Duration::ZERO);
            if self.news.throttle.due(Instant::now()).is_some() {
                self.say_throttle();
            }
        }
    }

    fn say_throttle(&mut self) {
        self.news.throttle_told = !self.news.throttle_told;
        let (started, size) = (self.news.throttle_told, self.chunks.len());
        let fill = size as u128 * 100 / self.capacity as u128;
        self.say(|_| Saying::Throttle {
            started,
            fill_percent: fill as u64,
            queue_size: size as u64,
        });
    }

    fn lost(&mut self, reason: Lost) {
        if !self.news.wanted {
            return;
        }
        self.news.lost.add(Duration::ZERO);
        if let Some((count, _)) = self.news.lost.due(Instant::now()) {
            self.say(|state| state.lost_saying(reason, count));
        }
    }

    fn lost_saying(&self, reason: Lost, count: u64) -> Saying {
        Saying::Dropped {
            reason,
            count,
            total: self.counts.dropped + self.counts.discarded,
            queue_size: self.chunks.len() as u64,
            max_size: self.capacity as u64,
        }
    }

    fn blocked(&self, (count, time): (u64, Duration)) -> Saying {
        Saying::Blocked {
            count,
            time,
            queue_size: self.chunks.len() as u64,
        }
    }

    /// Everything that was held back, and the totals.
    fn say_what_is_left(&mut self) {
        if let Some((count, _)) = self.news.lost.rest() {
            let reason = match self.counts.dropped {
                0 => Lost::Oldest,
                _ => Lost::Newest,
            };
            self.say(|state| state.lost_saying(reason, count));
        }
        if let Some(rest) = self.news.blocked.rest() {
            self.say(|state| state.blocked(rest));
        }
        if self.news.throttle_told {
            self.say_throttle();
        }
        self.say(|state| Saying::Closed(state.counts()));
    }

    fn say(&mut self, saying: impl FnOnce(&Self) -> Saying) {
        if self.news.wanted {
            let saying = saying(self);
            self.news.outbox.push_back(saying);
        }
    }

    /// Whether there is something to say.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.outbox.is_empty()
    }

    /// The next thing to say, unless somebody is just saying one.
    pub(crate) fn next_saying(&mut self) -> Option<Saying> {
        if self.news.saying {
            return None;
        }
        let saying = self.news.outbox.pop_front();
        self.news.saying = saying.is_some();
        saying
    }

    /// It was said, or nobody took it.
    pub(crate) fn said(&mut self, taken: Option<()>) {
        self.news.saying = false;
        self.counts.untold += u64::from(taken.is_none());
    }
}

impl Waits {
    /// For how long those that wait now have waited, all together.
    fn under_way(&self) -> Duration {
        match self.epoch {
            Some(epoch) if self.now > 0 => (Instant::now() - epoch) * self.now - self.began,
            _ => Duration::ZERO,
        }
    }
}
