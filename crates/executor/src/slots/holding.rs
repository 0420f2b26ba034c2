//! The units of one stage or part, and everybody in it who runs on them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::book::{Needs, Standing};
use super::run::{Holder, RunSlots};
use super::{Asked, Permit, lock};

/// The units of one stage or part while it runs. They are given back when the last clone is dropped.
///
/// Parts inside it run on the same units. They are needed as long as somebody is at work; who waits for parts of its own,
/// or has lent what it has, is not.
pub(crate) struct Holding {
    run: Arc<RunSlots>,
    holder: Holder,
    needs: Needs,
    state: Mutex<State>,
    /// Of those that come back at the same time, one takes the units back for all.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    /// `None` while nobody is at work.
    permit: Option<Permit>,
    /// The holder, and the parts inside it.
    users: HashMap<Holder, User>,
    /// How many of them are at work.
    at_work: usize,
}

/// One of those that run on the units.
#[derive(Clone, Copy, Default)]
struct User {
    calls: u32,
    /// How many parts are in it that are users themselves.
    inside: u32,
    /// How many of its calls have lent what they have.
    waiting: u32,
}

impl User {
    fn is_at_work(self) -> bool {
        self.inside.saturating_add(self.waiting) < self.calls
    }
}

impl State {
    fn change(&mut self, who: &Holder, change: impl FnOnce(&mut User)) {
        let user = self.users.entry(who.clone()).or_default();
        let before = user.is_at_work();
        change(user);
        let after = user.is_at_work();
        if user.calls == 0 {
            self.users.remove(who);
        }
        self.at_work = self.at_work + usize::from(after) - usize::from(before);
    }

    /// The first of these that runs on the units.
    fn first(&self, mut outwards: impl Iterator<Item = Holder>) -> Option<Holder> {
        outwards.find(|holder| self.users.contains_key(holder))
    }
}

impl Holding {
    pub(super) fn new(run: Arc<RunSlots>, holder: Holder, permit: Permit) -> Self {
        let mut state = State {
            users: HashMap::new(),
            at_work: 0,
            permit: None,
        };
        state.change(&holder, |user| user.calls = 1);
        let needs = Arc::clone(permit.needs());
        state.permit = Some(permit);
        Self {
            run,
            holder,
            needs,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Something has changed: units that nobody needs go to others, and those that are needed come back if they are free.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let needed = state.at_work > 0;
        let idle = state.permit.take_if(|_| !needed);
        if needed && state.permit.is_none() {
            state.permit = self.run.try_take(&self.needs);
        }
        drop(state);
        drop(idle);
    }

    /// Takes the units back if they are gone: ahead of those that come new.
    async fn come_back(&self) {
        if lock(&self.state).permit.is_some() {
            return;
        }
        let _turn = self.turn.lock().await;
        if lock(&self.state).permit.is_some() {
            return;
        }
        let permit = match self.run.ask_for(&self.needs, Standing::Returning) {
            Asked::Granted(permit) => permit,
            Asked::Queued(ticket) => ticket.await,
        };
        // If another drop was faster, these are too many, and go back.
        let other = lock(&self.state).permit.replace(permit);
        drop(other);
    }

    /// A broken engine forgets them.
    #[cold]
    pub(crate) fn leak(&self) {
        let permit = lock(&self.state).permit.take();
        std::mem::forget(permit);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.run.forget(&self.holder);
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding")
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

/// A part that runs on the units of what it is in.
#[derive(Debug)]
pub(super) struct Share {
    holding: Arc<Holding>,
    part: Holder,
    /// What it is directly inside of, of all that run on these units.
    outer: Option<Holder>,
}

impl Share {
    pub(super) fn begin(holding: Arc<Holding>, part: &Holder) -> Self {
        let mut outer = None;
        holding.change(|state| {
            outer = state.first(part.clone().outwards().skip(1));
            state.change(part, |user| user.calls += 1);
            if let Some(outer) = &outer {
                state.change(outer, |user| user.inside += 1);
            }
        });
        Self {
            holding,
            part: part.clone(),
            outer,
        }
    }

    /// Waits until the units are there, if they are lent out.
    pub(super) async fn has_units(&self) {
        self.holding.come_back().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.holding.change(|state| {
            state.change(&self.part, |user| user.calls = user.calls.saturating_sub(1));
            if let Some(outer) = &self.outer {
                state.change(outer, |user| user.inside = user.inside.saturating_sub(1));
            }
        });
    }
}

/// A wait without units.
pub(super) struct Lent(Option<(Arc<Holding>, Holder)>);

impl Lent {
    pub(super) fn begin(holding: Arc<Holding>, waits: &Holder) -> Self {
        let mut found = None;
        holding.change(|state| {
            found = state.first(waits.clone().outwards());
            if let Some(user) = &found {
                state.change(user, |user| user.waiting += 1);
            }
        });
        Self(found.map(|user| (holding, user)))
    }

    pub(super) async fn over(mut self) {
        if let Some(holding) = self.end() {
            holding.come_back().await;
        }
    }

    fn end(&mut self) -> Option<Arc<Holding>> {
        let (holding, user) = self.0.take()?;
        holding.change(|state| {
            if state.users.contains_key(&user) {
                state.change(&user, |user| user.waiting = user.waiting.saturating_sub(1));
            }
        });
        Some(holding)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Dropped in the middle: the stage may go on, and a drop cannot wait. What is free comes back.
        self.end();
    }
}
