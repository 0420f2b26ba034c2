//! What is known under one key: who is inside, and who waits.

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::line::Line;
use super::{Aimd, BulkheadView, Shedding};
use crate::keyed::Kept;

/// What a bulkhead was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) at_once: NonZeroUsize,
    pub(super) queue: usize,
    pub(super) shedding: Shedding,
    pub(super) aimd: Option<Aimd>,
}

/// The room under one key.
pub(super) struct Room {
    rule: Rule,
    now: Mutex<Now>,
}

struct Now {
    limit: f64,
    /// How often the limit has shrunk.
    round: u64,
    inside: usize,
    line: Line<oneshot::Sender<Turn>>,
    /// How long calls are inside: a moving average, an eighth for the newest (as TCP has it for round trips, RFC 6298).
    held: Option<Duration>,
}

/// What those that wait are told.
pub(super) enum Turn {
    Come(Permit),
    /// A heavier call has taken the place.
    Shed(Option<Duration>),
}

/// What becomes of a call that comes.
pub(super) enum Entry {
    Come(Permit),
    Wait(Place),
    /// There is no room; there might be after this.
    Full(Option<Duration>),
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Badly,
    Neither,
    Well,
}

/// The limit was this and is that now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resized {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Room {
    pub(super) fn new(rule: Rule) -> Self {
        let limit = match &rule.aimd {
            Some(aimd) => aimd.first(rule.at_once),
            None => rule.at_once.get() as f64,
        };
        Self {
            rule,
            now: Mutex::new(Now {
                limit,
                round: 0,
                inside: 0,
                line: Line::new(),
                held: None,
            }),
        }
    }

    /// A call of this weight comes.
    pub(super) fn enter(self: &Arc<Self>, weight: NonZeroU16) -> Entry {
        let mut now = self.lock();
        if now.line.len() == 0 && now.inside < now.room() {
            return Entry::Come(self.permit(&mut now));
        }
        let mut shed = None;
        if now.line.len() >= self.rule.queue {
            let is_heavier = now
                .line
                .lightest()
                .is_some_and(|lightest| lightest < weight);
            if self.rule.shedding == Shedding::Newest || !is_heavier {
                return Entry::Full(now.wait());
            }
            shed = now.line.shed();
        }
        let (tell, told) = oneshot::channel();
        let number = now.line.push(weight, tell);
        let wait = now.wait();
        drop(now);
        if let Some(shed) = shed {
            // Whoever has left meanwhile need not be told.
            let _ = shed.send(Turn::Shed(wait));
        }
        Entry::Wait(Place {
            room: Arc::clone(self),
            weight,
            number,
            told,
        })
    }

    /// What it looks like from outside.
    pub(super) fn view(&self) -> BulkheadView {
        let now = self.lock();
        BulkheadView {
            limit: now.room(),
            inside: now.inside,
            waiting: now.line.len(),
        }
    }

    fn permit(self: &Arc<Self>, now: &mut Now) -> Permit {
        now.inside += 1;
        Permit {
            room: Some(Arc::clone(self)),
            since: Instant::now(),
            round: now.round,
        }
    }

    /// A call has left. Whoever has its turn now is let in.
    fn leave(self: &Arc<Self>, took: Duration, round: u64, verdict: Verdict) -> Option<Resized> {
        let mut now = self.lock();
        let resized = self.resize(&mut now, round, verdict);
        now.inside -= 1;
        now.held = Some(now.held.map_or(took, |held| (held * 7 + took) / 8));
        while now.inside < now.room() {
            let Some(tell) = now.line.pop() else { break };
            let permit = self.permit(&mut now);
            drop(now);
            // Whoever has left meanwhile gives it back at once, and that takes the lock.
            let _ = tell.send(Turn::Come(permit));
            now = self.lock();
        }
        resized
    }

    fn resize(&self, now: &mut Now, round: u64, verdict: Verdict) -> Option<Resized> {
        let aimd = self.rule.aimd.as_ref()?;
        let from = now.room();
        match verdict {
            Verdict::Well if now.inside * 2 >= from => now.limit = aimd.grown(now.limit),
            Verdict::Badly if round == now.round => {
                now.limit = aimd.shrunk(now.limit);
                now.round += 1;
            }
            Verdict::Well | Verdict::Badly | Verdict::Neither => return None,
        }
        let to = now.room();
        (from != to).then_some(Resized { from, to })
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// How many may be inside.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the whole part of a number between two `NonZeroUsize`"
    )]
    fn room(&self) -> usize {
        self.limit as usize
    }

    /// How long whoever joins now might have to wait: as long as those that are before it take, at as many at a time as there is
    /// room for (Little's law).
    fn wait(&self) -> Option<Duration> {
        let before = u32::try_from(self.line.len() + 1).unwrap_or(u32::MAX);
        let room = u32::try_from(self.room().max(1)).unwrap_or(u32::MAX);
        Some(self.held?.saturating_mul(before) / room)
    }
}

impl Kept for Room {
    /// What an adaptive limit has learned is lost with it: it learns again.
    fn is_idle(&self) -> bool {
        let now = self.lock();
        now.inside == 0 && now.line.len() == 0
    }
}

/// The right to be inside. It is given back when it is dropped.
pub(super) struct Permit {
    room: Option<Arc<Room>>,
    since: Instant,
    round: u64,
}

impl Permit {
    /// How long it has been inside.
    pub(super) fn took(&self) -> Duration {
        self.since.elapsed()
    }

    /// The call has ended.
    pub(super) fn done(mut self, verdict: Verdict) -> Option<Resized> {
        let took = self.took();
        self.room.take()?.leave(took, self.round, verdict)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            room.leave(self.since.elapsed(), self.round, Verdict::Neither);
        }
    }
}

/// A place in the line. It is given up when it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    weight: NonZeroU16,
    number: u64,
    told: oneshot::Receiver<Turn>,
}

impl Place {
    /// Waits for what becomes of it. `None` never comes while the place is held. Safe to drop at any moment.
    pub(super) async fn turn(&mut self) -> Option<Turn> {
        (&mut self.told).await.ok()
    }

    /// How long a call that comes now might have to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.room.lock().wait()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = self.room.lock().line.remove(self.weight, self.number);
        // Not under the lock. A permit that has come meanwhile is given back when `told` is dropped.
        drop(gone);
    }
}
