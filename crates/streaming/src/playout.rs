//! A buffer that is measured in time: for sound and whatever else is played.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::pace::Pace;
use crate::saying::millis;
use crate::{PlayoutError, Tell};

/// Pieces shorter than any sound would make a long queue of nothing.
const MOST_CHUNKS: usize = 65_536;

/// Holds chunks that last some time until they are played, and evens out how they come.
///
/// It fills up to its target before it plays. When it runs dry it fills up again: a player hears one gap and not twenty.
/// It never holds more than its maximum: what is oldest goes, as much of it as is too much and not a whole chunk more.
///
/// ```
/// use std::time::Duration;
/// use stageflow_streaming::PlayoutBuffer;
///
/// # fn main() -> Result<(), stageflow_streaming::PlayoutError> {
/// let ms = Duration::from_millis;
/// let mut buffer = PlayoutBuffer::new(ms(100), ms(400))?;
/// buffer.push("first", ms(60));
/// assert_eq!(buffer.pull(ms(20)).missing, ms(20)); // still fills
/// buffer.push("second", ms(60));
/// let pulled = buffer.pull(ms(80));
/// let played: Vec<_> = pulled.pieces.iter().map(|piece| (*piece.chunk, piece.from, piece.until)).collect();
/// assert_eq!(played, [("first", ms(0), ms(60)), ("second", ms(0), ms(20))]);
/// # Ok(()) }
/// ```
pub struct PlayoutBuffer<T> {
    chunks: VecDeque<Held<T>>,
    target: Duration,
    max: Duration,
    most: usize,
    phase: Phase,
    counts: PlayoutCounts,
    tell: Option<Box<dyn Tell>>,
    overflow: Pace,
    underrun: Pace,
}

struct Held<T> {
    chunk: Arc<T>,
    from: Duration,
    lasts: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Has not played yet.
    Filling,
    Playing,
    /// Ran dry, and fills up again; whether that was told.
    Dry {
        told: bool,
    },
    /// Nothing more comes.
    Finishing,
}

/// Part of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece<T> {
    /// The chunk it is part of.
    pub chunk: Arc<T>,
    /// Where in the chunk it begins.
    pub from: Duration,
    /// Where in the chunk it ends.
    pub until: Duration,
}

/// What a pull gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled<T> {
    /// What to play, in order.
    pub pieces: Vec<Piece<T>>,
    /// How much of what was asked for is not there.
    pub missing: Duration,
}

/// What a buffer did so far. At any moment `pushed = played + dropped + held`, to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlayoutCounts {
    /// What was put in.
    pub pushed: Duration,
    /// What was pulled out.
    pub played: Duration,
    /// What went because there was too much.
    pub dropped: Duration,
    /// What it holds.
    pub held: Duration,
    /// How often something went because there was too much.
    pub overflows: u64,
    /// How often it ran dry.
    pub underruns: u64,
    /// How often it was full enough again after it had run dry.
    pub recoveries: u64,
    /// Events about it that nobody took.
    pub untold: u64,
}

impl<T> PlayoutBuffer<T> {
    /// Plays once it holds `target`, and never holds more than `max`.
    ///
    /// # Errors
    ///
    /// [`PlayoutError`] if `target` is more than `max`.
    pub fn new(target: Duration, max: Duration) -> Result<Self, PlayoutError> {
        if target > max {
            return Err(PlayoutError::new(target, max));
        }
        Ok(Self {
            chunks: VecDeque::new(),
            target,
            max,
            most: MOST_CHUNKS,
            phase: Phase::Filling,
            counts: PlayoutCounts::default(),
            tell: None,
            overflow: Pace::default(),
            underrun: Pace::default(),
        })
    }

    /// The same, which holds at most so many chunks, however short they are. Without this it is 65 536.
    #[must_use]
    pub fn at_most(self, chunks: NonZeroUsize) -> Self {
        Self {
            most: chunks.get(),
            ..self
        }
    }

    /// The same, which says what happens to it: most often to the stage's `StageCx`.
    #[must_use]
    pub fn telling(self, tell: impl Tell) -> Self {
        Self {
            tell: Some(Box::new(tell)),
            ..self
        }
    }

    /// Puts in a chunk that lasts so long, and gives how much of what was oldest had to go for it. A chunk that lasts no
    /// time is not kept: there is nothing of it to play.
    pub fn push(&mut self, chunk: T, lasts: Duration) -> Duration {
        if lasts.is_zero() {
            return Duration::ZERO;
        }
        self.chunks.push_back(Held {
            chunk: Arc::new(chunk),
            from: Duration::ZERO,
            lasts,
        });
        self.counts.pushed += lasts;
        self.counts.held += lasts;
        let dropped = self.make_room();
        if !dropped.is_zero() {
            self.counts.overflows += 1;
            self.overflow.add(dropped);
            self.tell_overflow();
        }
        if self.counts.held >= self.target {
            self.full_enough();
        }
        dropped
    }

    /// Takes out what is to be played in the next `wanted`: less than that if there is less, and nothing while it fills.
    pub fn pull(&mut self, wanted: Duration) -> Pulled<T> {
        let mut pieces = Vec::new();
        let mut missing = wanted;
        let available = self.counts.held;
        if matches!(self.phase, Phase::Playing | Phase::Finishing) {
            while !missing.is_zero() {
                let Some(piece) = self.take_oldest(missing) else {
                    break;
                };
                missing -= piece.until - piece.from;
                pieces.push(piece);
            }
            self.counts.played += wanted - missing;
        }
        if self.phase == Phase::Playing && !missing.is_zero() {
            self.ran_dry(wanted, available);
        }
        Pulled { pieces, missing }
    }

    /// Nothing more comes: what it holds is played without waiting for more, and to run dry is not an underrun.
    /// Says what was not said yet.
    pub fn finish(&mut self) {
        self.phase = Phase::Finishing;
        if let Some((count, dropped)) = self.overflow.rest() {
            self.say_overflow(count, dropped);
        }
    }

    /// Whether a pull would give something.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        matches!(self.phase, Phase::Playing | Phase::Finishing) && !self.chunks.is_empty()
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> PlayoutCounts {
        self.counts
    }

    /// Takes at most `most` of the oldest chunk.
    fn take_oldest(&mut self, most: Duration) -> Option<Piece<T>> {
        let oldest = self.chunks.front_mut()?;
        let from = oldest.from;
        let until = oldest.lasts.min(from.saturating_add(most));
        oldest.from = until;
        let chunk = Arc::clone(&oldest.chunk);
        if until == oldest.lasts {
            self.chunks.pop_front();
        }
        self.counts.held -= until - from;
        Some(Piece { chunk, from, until })
    }

    fn make_room(&mut self) -> Duration {
        let before = self.counts.held;
        while self.counts.held > self.max {
            let excess = self.counts.held - self.max;
            if self.take_oldest(excess).is_none() {
                break;
            }
        }
        while self.chunks.len() > self.most {
            if self.take_oldest(Duration::MAX).is_none() {
                break;
            }
        }
        let dropped = before - self.counts.held;
        self.counts.dropped += dropped;
        dropped
    }

    fn full_enough(&mut self) {
        match self.phase {
            Phase::Filling => self.phase = Phase::Playing,
            Phase::Dry { told } => {
                self.phase = Phase::Playing;
                self.counts.recoveries += 1;
                if told {
                    let payload = json!({ "buffer_ms": millis(self.counts.held) });
                    self.say("stream.buffer_recovered", payload);
                }
            }
            Phase::Playing | Phase::Finishing => {}
        }
    }

    fn ran_dry(&mut self, wanted: Duration, available: Duration) {
        self.counts.underruns += 1;
        let due = self.tell.as_ref().and_then(|_| {
            self.underrun.add(Duration::ZERO);
            self.underrun.due(Instant::now())
        });
        if let Some((count, _)) = due {
            let payload = json!({
                "requested_ms": millis(wanted),
                "available_ms": millis(available),
                "count": count,
            });
            self.say("stream.buffer_underrun", payload);
        }
        self.phase = Phase::Dry {
            told: due.is_some(),
        };
    }

    fn tell_overflow(&mut self) {
        if self.tell.is_none() {
            return;
        }
        if let Some((count, dropped)) = self.overflow.due(Instant::now()) {
            self.say_overflow(count, dropped);
        }
    }

    fn say_overflow(&mut self, count: u64, dropped: Duration) {
        let payload = json!({
            "dropped_ms": millis(dropped),
            "buffer_ms": millis(self.counts.held),
            "max_ms": millis(self.max),
            "count": count,
            "total_dropped_ms": millis(self.counts.dropped),
        });
        self.say("stream.buffer_overflow", payload);
    }

    fn say(&mut self, name: &'static str, payload: serde_json::Value) {
        if let Some(tell) = &self.tell
            && tell.tell(name, payload).is_err()
        {
            self.counts.untold += 1;
        }
    }
}

impl<T> fmt::Debug for PlayoutBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayoutBuffer")
            .field("target", &self.target)
            .field("max", &self.max)
            .field("phase", &self.phase)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
