//! The line behind a lock: who waits is woken when it is its turn, and nobody else is.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stageflow_context::OrgId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::line::{Coming, Left, Line, Rule, Seen};

/// Lets so many in at a time.
pub(crate) struct Gate {
    now: Mutex<Now>,
}

type Now = Line<oneshot::Sender<Turn>>;

/// What becomes of one that comes.
pub(crate) enum Entry {
    Come(Permit),
    Wait(Place),
    /// There is no room: so it looks, and there might be some after this.
    Full(Seen, Duration),
}

/// What those that wait are told.
#[derive(Debug)]
pub(crate) enum Turn {
    Come(Permit),
    /// Nobody of the org is let in any more.
    Expelled,
}

impl Gate {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self {
            now: Mutex::new(Line::new(most)),
        }
    }

    /// One of this org comes. The org must have a [rule](Gate::rule).
    pub(crate) fn enter(self: &Arc<Self>, org: OrgId) -> Entry {
        let mut now = self.lock();
        match now.come(org) {
            Coming::In => Entry::Come(self.permit(org)),
            Coming::Full => Entry::Full(now.seen(org), now.might_take(org)),
            Coming::Wait => Entry::Wait(self.wait(now, org)),
        }
    }

    /// The same, and it waits however many do.
    pub(crate) fn enter_anyway(self: &Arc<Self>, org: OrgId) -> Entry {
        let mut now = self.lock();
        match now.come(org) {
            Coming::In => Entry::Come(self.permit(org)),
            Coming::Full | Coming::Wait => Entry::Wait(self.wait(now, org)),
        }
    }

    /// One of this org is let in if it need not wait.
    pub(crate) fn try_enter(self: &Arc<Self>, org: OrgId) -> Option<Permit> {
        let coming = self.lock().come(org);
        (coming == Coming::In).then(|| self.permit(org))
    }

    /// Holds an org to this from now on.
    pub(crate) fn rule(self: &Arc<Self>, org: OrgId, rule: Rule) {
        let mut now = self.lock();
        now.rule(org, rule);
        self.give(now);
    }

    /// Lets so many in from now on.
    pub(crate) fn set_most(self: &Arc<Self>, most: NonZeroUsize) {
        let mut now = self.lock();
        now.set_most(most);
        self.give(now);
    }

    /// Sends all of this org away that wait.
    pub(crate) fn expel(&self, org: OrgId) {
        let expelled = self.lock().drain(org);
        for tell in expelled {
            if tell.send(Turn::Expelled).is_err() {
                self.lock().abandoned(org);
            }
        }
    }

    /// Forgets an org of which nobody is inside or waits.
    pub(crate) fn forget(&self, org: OrgId) -> bool {
        self.lock().forget(org)
    }

    pub(crate) fn seen(&self, org: OrgId) -> Seen {
        self.lock().seen(org)
    }

    fn wait(self: &Arc<Self>, mut now: MutexGuard<'_, Now>, org: OrgId) -> Place {
        let (tell, told) = oneshot::channel();
        Place {
            number: now.wait(org, tell),
            gate: Arc::clone(self),
            org,
            told,
        }
    }

    fn leave(self: &Arc<Self>, org: OrgId, how: Left) {
        let mut now = self.lock();
        now.leave(org, how);
        self.give(now);
    }

    /// Lets in whoever has a turn now. They are told outside of the lock, as whoever is told may be gone, and gives it back.
    fn give<'a>(self: &'a Arc<Self>, mut now: MutexGuard<'a, Now>) {
        while let Some((org, tell)) = now.turn() {
            drop(now);
            let gone = match tell.send(Turn::Come(self.permit(org))) {
                Err(Turn::Come(permit)) => permit.defuse(),
                Err(Turn::Expelled) | Ok(()) => false,
            };
            now = self.lock();
            if gone {
                now.leave(org, Left::Abandoned);
            }
        }
    }

    fn permit(self: &Arc<Self>, org: OrgId) -> Permit {
        Permit(Some(Held {
            gate: Arc::clone(self),
            org,
            since: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Nothing in it can panic half-way.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be inside. It is given back when it is dropped.
pub(crate) struct Permit(Option<Held>);

struct Held {
    gate: Arc<Gate>,
    org: OrgId,
    /// Since when; nothing while nobody has taken it.
    since: Option<Instant>,
}

impl Permit {
    /// Somebody goes in with it.
    pub(crate) fn taken(mut self) -> Self {
        if let Some(held) = &mut self.0 {
            held.since = Some(Instant::now());
        }
        self
    }

    /// Gives it back: whoever has it is refused after all.
    pub(crate) fn refuse(mut self) {
        if let Some(held) = self.0.take() {
            held.gate.leave(held.org, Left::Refused);
        }
    }

    /// It is not given back by itself. Whether it was to be.
    fn defuse(mut self) -> bool {
        self.0.take().is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            let how = held
                .since
                .map_or(Left::Abandoned, |since| Left::Finished(since.elapsed()));
            held.gate.leave(held.org, how);
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

/// A place in the line. It is given up when it is dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    org: OrgId,
    number: u64,
    told: oneshot::Receiver<Turn>,
}

impl Place {
    /// Waits for what becomes of it. Safe to drop at any moment.
    pub(crate) async fn turn(&mut self) -> Turn {
        // The line does not forget those that wait.
        (&mut self.told).await.unwrap_or(Turn::Expelled)
    }

    /// Gives it up, unless its turn has come in this moment: then it is had all the same.
    ///
    /// # Errors
    ///
    /// How the org looked, and how long the next might have to wait.
    pub(crate) async fn give_up(mut self) -> Result<Turn, (Seen, Duration)> {
        let gone = {
            let mut now = self.gate.lock();
            let seen = now.seen(self.org);
            let gone = now.remove(self.org, self.number);
            gone.map(|tell| (tell, seen, now.might_take(self.org)))
        };
        match gone {
            Some((_, seen, after)) => Err((seen, after)),
            // Whoever took it out of the line is about to tell.
            None => Ok(self.turn().await),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.told.close();
        let gone = {
            let mut now = self.gate.lock();
            let gone = now.remove(self.org, self.number);
            if gone.is_some() {
                now.abandoned(self.org);
            }
            gone
        };
        // Not under the lock: a permit that has come meanwhile is given back here.
        match self.told.try_recv() {
            Ok(Turn::Expelled) => self.gate.lock().abandoned(self.org),
            Ok(Turn::Come(permit)) => drop(permit),
            Err(_) => {}
        }
        drop(gone);
    }
}
