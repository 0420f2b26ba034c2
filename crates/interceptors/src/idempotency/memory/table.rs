//! What is known under each scope.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{Fingerprint, OrgId, UserId};
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::idempotency::{
    Asker, Begun, Finished, KeepFor, Kept, Renewed, Scope, StoreError, Token,
};

/// All entries, and in which order they go. It knows no clock: each call says what time it is.
pub(super) struct Table {
    most: NonZeroUsize,
    /// Clients choose the keys, so the hasher is one that they cannot foresee.
    entries: HashMap<Arc<Scope>, Entry>,
    /// Answers by the number under which they were kept, so by age.
    by_age: BTreeMap<u64, Arc<Scope>>,
    by_expiry: BTreeSet<(Instant, u64)>,
    last_number: u64,
    waiting: usize,
}

struct Entry {
    fingerprint: Option<Fingerprint>,
    /// For whom the holder works, or did.
    user: Option<UserId>,
    state: State,
}

enum State {
    Done(Done),
    Held(Held),
}

struct Done {
    kept: Kept,
    until: Instant,
    number: u64,
}

struct Held {
    token: Token,
    /// Until when the lease goes, for those who wait for its end.
    until: watch::Sender<Instant>,
    /// By the number of their ticket, so in the order in which they came.
    queue: BTreeMap<u64, Waiter>,
}

struct Waiter {
    user: Option<UserId>,
    lease: Duration,
    tell: Sender<Begun>,
}

impl Table {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self {
            most,
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            last_number: 0,
            waiting: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn held(&self) -> usize {
        self.entries.len() - self.by_age.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn begin(
        &mut self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
        now: Instant,
    ) -> Result<Begun, StoreError> {
        self.forget_old(now);
        match self.entries.get(scope) {
            Some(entry) if !entry.is_over(now) => {
                if entry.fingerprint != asker.parameters {
                    return Ok(Begun::Mismatch);
                }
                if let State::Done(done) = &entry.state {
                    return Ok(Begun::Done(done.kept.clone()));
                }
                if let Some(until) = self.look_at_lease(scope, now) {
                    return Ok(Begun::Held(until.saturating_duration_since(now)));
                }
            }
            Some(_) => self.remove(scope),
            None => {}
        }
        self.make_room(now)?;
        let token = Token::new(self.next_number());
        let entry = Entry {
            fingerprint: asker.parameters,
            user: asker.user,
            state: State::Held(Held {
                token,
                until: watch::Sender::new(after(now, lease)),
                queue: BTreeMap::new(),
            }),
        };
        self.entries.insert(Arc::new(scope.clone()), entry);
        Ok(Begun::Mine(token))
    }

    /// A place behind the holder, and until when its lease goes.
    pub(super) fn queue(
        &mut self,
        scope: &Scope,
        user: Option<UserId>,
        lease: Duration,
    ) -> Option<(u64, Receiver<Begun>, watch::Receiver<Instant>)> {
        let ticket = self.next_number();
        let held = self.held_under(scope)?;
        let (tell, told) = channel();
        held.queue.insert(ticket, Waiter { user, lease, tell });
        let until = held.until.subscribe();
        self.waiting += 1;
        Some((ticket, told, until))
    }

    pub(super) fn leave_queue(&mut self, scope: &Scope, ticket: u64) {
        let left = self
            .held_under(scope)
            .and_then(|held| held.queue.remove(&ticket));
        self.waiting -= usize::from(left.is_some());
    }

    /// Hands the work over if its holder is dead. Until when the lease goes of the one that has it then; `None` if nobody has
    /// it.
    pub(super) fn look_at_lease(&mut self, scope: &Scope, now: Instant) -> Option<Instant> {
        let held = self.held_under(scope)?;
        if held.until() <= now {
            self.hand_over(scope, now);
        }
        self.held_under(scope).map(|held| held.until())
    }

    pub(super) fn renew(
        &mut self,
        scope: &Scope,
        token: Token,
        lease: Duration,
        now: Instant,
    ) -> Renewed {
        match self.held_under(scope) {
            Some(held) if held.token == token => {
                held.set_until(after(now, lease));
                Renewed::Yes
            }
            _ => Renewed::Lost,
        }
    }

    pub(super) fn finish(
        &mut self,
        scope: &Scope,
        token: Token,
        kept: &Kept,
        keep: KeepFor,
        now: Instant,
    ) -> Finished {
        let number = self.next_number();
        let Some((scope, entry)) = self.entries.get_key_value(scope) else {
            return Finished::Lost;
        };
        if !matches!(&entry.state, State::Held(held) if held.token == token) {
            return Finished::Lost;
        }
        let scope = Arc::clone(scope);
        let (fingerprint, user) = (entry.fingerprint, entry.user);
        let Some(State::Held(held)) = self.entries.remove(&scope).map(|entry| entry.state) else {
            return Finished::Lost;
        };
        self.waiting -= held.queue.len();
        for waiter in held.queue.into_values() {
            // Whoever does not hear it has stopped to wait.
            let _gone = waiter.tell.send(Begun::Done(kept.clone()));
        }
        if let KeepFor::Time(ttl) = keep
            && !ttl.is_zero()
        {
            let until = after(now, ttl);
            self.by_age.insert(number, Arc::clone(&scope));
            self.by_expiry.insert((until, number));
            let done = Done {
                kept: kept.clone(),
                until,
                number,
            };
            let state = State::Done(done);
            let entry = Entry {
                fingerprint,
                user,
                state,
            };
            self.entries.insert(scope, entry);
        }
        Finished::Kept
    }

    pub(super) fn release(&mut self, scope: &Scope, token: Token, now: Instant) {
        if self
            .held_under(scope)
            .is_some_and(|held| held.token == token)
        {
            self.hand_over(scope, now);
        }
    }

    /// Gives the work to the first who waits for it and is still there. If nobody is, it is as if it had never been begun.
    fn hand_over(&mut self, scope: &Scope, now: Instant) {
        loop {
            let token = Token::new(self.next_number());
            let Some(held) = self.held_under(scope) else {
                return;
            };
            let Some((_, waiter)) = held.queue.pop_first() else {
                self.entries.remove(scope);
                return;
            };
            let taken = waiter.tell.send(Begun::Mine(token)).is_ok();
            if taken {
                held.token = token;
                held.set_until(after(now, waiter.lease));
            }
            self.waiting -= 1;
            if taken {
                if let Some(entry) = self.entries.get_mut(scope) {
                    entry.user = waiter.user;
                }
                return;
            }
        }
    }

    fn held_under(&mut self, scope: &Scope) -> Option<&mut Held> {
        match &mut self.entries.get_mut(scope)?.state {
            State::Held(held) => Some(held),
            State::Done(_) => None,
        }
    }

    /// Forgets a few answers whose time is over: each who comes clears away a little more than he brings.
    fn forget_old(&mut self, now: Instant) {
        for _ in 0..2 {
            match self.by_expiry.first() {
                Some((until, number)) if *until <= now => {
                    let number = *number;
                    self.forget(number);
                }
                _ => return,
            }
        }
    }

    /// Makes room for one more: an answer goes whose time is over, or else the oldest.
    fn make_room(&mut self, now: Instant) -> Result<(), StoreError> {
        if self.entries.len() < self.most.get() {
            return Ok(());
        }
        let over = self
            .by_expiry
            .first()
            .filter(|(until, _)| *until <= now)
            .map(|(_, number)| *number);
        if let Some(number) = over.or_else(|| self.by_age.keys().next().copied()) {
            self.forget(number);
            return Ok(());
        }
        // Only holders are left. One that is dead, and that nobody waits for, may go.
        let dead = self.entries.iter().filter_map(|(scope, entry)| {
            let State::Held(held) = &entry.state else {
                return None;
            };
            let is_dead = held.until() <= now && held.queue.is_empty();
            is_dead.then_some(((held.until(), held.token), scope))
        });
        let longest = dead.min_by_key(|(since, _)| *since);
        match longest.map(|(_, scope)| Arc::clone(scope)) {
            Some(scope) => {
                self.entries.remove(&scope);
                Ok(())
            }
            None => Err(StoreError::full(self.most.get())),
        }
    }

    /// Forgets the answers to this user. How many.
    pub(super) fn forget_user(&mut self, org: Option<OrgId>, user: UserId) -> u64 {
        let theirs = self.entries.iter().filter(|(scope, entry)| {
            let is_answer = matches!(entry.state, State::Done(_));
            is_answer && scope.org() == org && entry.user == Some(user)
        });
        let theirs: Vec<_> = theirs.map(|(scope, _)| Arc::clone(scope)).collect();
        theirs.iter().for_each(|scope| self.remove(scope));
        theirs.len() as u64
    }

    /// Forgets the answer with this number.
    fn forget(&mut self, number: u64) {
        if let Some(scope) = self.by_age.get(&number).cloned() {
            self.remove(&scope);
        }
    }

    /// Forgets an answer.
    fn remove(&mut self, scope: &Scope) {
        if let Some(Entry {
            state: State::Done(done),
            ..
        }) = self.entries.remove(scope)
        {
            self.by_age.remove(&done.number);
            self.by_expiry.remove(&(done.until, done.number));
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Held {
    fn until(&self) -> Instant {
        *self.until.borrow()
    }

    /// Tells those who wait only if the lease ends before the time at which they look.
    fn set_until(&self, until: Instant) {
        self.until.send_if_modified(|known| {
            let is_shorter = until < *known;
            *known = until;
            is_shorter
        });
    }
}

impl Entry {
    /// An answer whose time is over.
    fn is_over(&self, now: Instant) -> bool {
        matches!(&self.state, State::Done(done) if done.until <= now)
    }
}

/// So long from now; so far away that nobody sees it, if that is further than the clock goes.
fn after(now: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(time).unwrap_or_else(|| now + FAR)
}
