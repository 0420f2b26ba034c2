//! So many calls at a time.

mod aimd;
mod layer;
mod line;
mod room;
mod view;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::keyed::Keyed;
use crate::{Key, KeyBy, Phase};

pub use aimd::Aimd;
use room::{Room, Rule};
pub use view::{BulkheadView, Shedding};

const MOST_KEYS: NonZeroUsize = const { NonZeroUsize::new(10_000).unwrap() };
const QUEUE: usize = 1024;

/// Lets so many calls be inside at a time, so that one slow dependency does not take everything else down with it. The others are
/// rejected at once, or wait if [`queue`](Bulkhead::queue) or [`wait_up_to`](Bulkhead::wait_up_to) says so.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use stageflow_interceptors::{Bulkhead, KeyBy, Stack};
///
/// const EIGHT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
/// const HUNDRED: NonZeroUsize = NonZeroUsize::new(100).unwrap();
///
/// let bulkhead = Bulkhead::new(EIGHT)
///     .queue(HUNDRED)
///     .wait_up_to(Duration::from_secs(2))
///     .key(KeyBy::dependency("model").across_orgs());
/// let stack = Stack::new().with(bulkhead.clone()); // a clone is the same bulkhead
/// assert!(bulkhead.view().is_empty());
/// ```
///
/// # Whose turn it is
///
/// Calls wait in classes: those whose runs have the same priority. Turns are given to classes in proportion to their weights, and
/// within a class in the order in which the calls came. So a call of a run with more weight waits less, and none starves: while `n` calls of its
/// class are before it and `W` is the sum of the weights of all classes that wait, it has its turn after about `(n + 1) · W / w`
/// others, `w` being its own. Nobody who comes later in the same class, and nobody who finds a free place, passes those that wait.
///
/// When the queue is full, a call that weighs more than the lightest that waits takes the place of the newest of those, which is
/// rejected: see [`Shedding`].
///
/// # What is exact
///
/// No call is let in while as many are inside as the limit says. A place is given back however a call ends: with a value, an
/// error, a panic, or because its future is dropped. If an adaptive limit shrinks, those inside stay; nobody follows them until there are fewer.
///
/// # Rejections
///
/// A rejection is a failure ([`StageErrorKind::Rejected`](stageflow_context::StageErrorKind::Rejected), code `SF0313`) with
/// the time after which there might be room: as long as those before it take, by what calls have taken so far. While no call
/// has ended yet, it names no time.
///
/// A stage that holds a place and starts a run that needs one of the same places waits for itself. Give such stages keys of their
/// own, or set `wait_up_to`.
///
/// # Events
///
/// `layer.bulkhead.waited` (`key`, `ms`); `layer.bulkhead.rejected` (`key`, `why`: `full` or `wait`, `ms`); `layer.bulkhead.shed` for a
/// call that has lost its place to a heavier one (`key`, `ms`); `layer.bulkhead.resized` (`key`, `from`, `to`) for an adaptive limit, told by
/// the call that changed it. `ms` is how long it has waited.
#[derive(Clone)]
pub struct Bulkhead {
    rule: Rule,
    wait: Option<Duration>,
    by: KeyBy,
    most_keys: NonZeroUsize,
    phase: Phase,
    rooms: Arc<Keyed<Room>>,
}

impl Bulkhead {
    /// So many calls at a time.
    #[must_use]
    pub fn new(at_once: NonZeroUsize) -> Self {
        let rule = Rule {
            at_once,
            queue: 0,
            shedding: Shedding::default(),
            aimd: None,
        };
        Self {
            rule,
            wait: None,
            by: KeyBy::default(),
            most_keys: MOST_KEYS,
            phase: Phase::Admission,
            rooms: rooms(rule, MOST_KEYS),
        }
    }

    /// Lets so many calls wait under one key, for as long as their runs last if nothing else is said.
    ///
    /// Like all options it makes a bulkhead of its own: set them before you clone it.
    #[must_use]
    pub fn queue(self, most: NonZeroUsize) -> Self {
        self.with(|new| new.rule.queue = most.get())
    }

    /// Lets calls wait for so long; 1024 of them if [`queue`](Bulkhead::queue) says nothing.
    #[must_use]
    pub fn wait_up_to(self, wait: Duration) -> Self {
        self.with(|new| {
            new.wait = Some(wait);
            if new.rule.queue == 0 {
                new.rule.queue = QUEUE;
            }
        })
    }

    /// Which calls share the places; those of each stage and org if nothing is said.
    #[must_use]
    pub fn key(self, by: KeyBy) -> Self {
        self.with(|new| new.by = by)
    }

    /// Who is rejected when the queue is full; [`Shedding::Lightest`] if nothing is said.
    #[must_use]
    pub fn shed(self, shedding: Shedding) -> Self {
        self.with(|new| new.rule.shedding = shedding)
    }

    /// Lets the limit find itself, from `at_once` on.
    #[must_use]
    pub fn adaptive(self, aimd: Aimd) -> Self {
        self.with(|new| new.rule.aimd = Some(aimd))
    }

    /// Counts each attempt, and not each call with all its attempts: the layer goes inside those that try again
    /// ([`Phase::Timeout`] in place of [`Phase::Admission`]). A place is then free while a call waits for its next attempt, and an
    /// adaptive limit sees how attempts end.
    #[must_use]
    pub fn each_attempt(self) -> Self {
        self.with(|new| new.phase = Phase::Timeout)
    }

    /// Knows at most so many keys; 10 000 if nothing is said. When it is full it forgets those where nobody is inside, and with them
    /// what an adaptive limit has learned; if it still has no room, the new keys share their places.
    #[must_use]
    pub fn most_keys(self, most: NonZeroUsize) -> Self {
        self.with(|new| new.most_keys = most)
    }

    /// What goes on under each key that is known, for health pages; in no particular order.
    #[must_use]
    pub fn view(&self) -> Vec<(Key, BulkheadView)> {
        let rooms = self.rooms.all().into_iter();
        rooms.map(|(key, room)| (key, room.view())).collect()
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.rooms = rooms(self.rule, self.most_keys);
        self
    }
}

fn rooms(rule: Rule, most_keys: NonZeroUsize) -> Arc<Keyed<Room>> {
    Arc::new(Keyed::new(most_keys, move || Room::new(rule)))
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("rule", &self.rule)
            .field("wait", &self.wait)
            .field("key", &self.by)
            .finish_non_exhaustive()
    }
}
