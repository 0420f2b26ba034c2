//! What the stages of one run hold.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use stageflow_context::{Part, StageIndex};

use super::book::{Needs, Standing};
use super::desk::Desk;
use super::{Asked, Permit, Priority, Ticket, lock};
use crate::sabotage::Fault;
use crate::shared::RunShared;

/// The slots and pools as one run sees them.
pub(crate) struct RunSlots {
    desk: Arc<Desk>,
    priority: Priority,
    held: Mutex<HashMap<Holder, Weak<Holding>>>,
}

/// A stage, or a part of one, that holds units.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    pub(super) stage: u32,
    pub(super) part: Option<Arc<Part>>,
}

impl Holder {
    /// It, and what it is a part of, from the inside out.
    pub(super) fn outwards(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |holder| {
            let part = holder.part.as_ref()?.within().cloned();
            let stage = holder.stage;
            Some(Self { stage, part })
        })
    }
}

impl RunSlots {
    pub(crate) fn new(desk: Arc<Desk>, priority: Priority) -> Arc<Self> {
        Arc::new(Self {
            desk,
            priority,
            held: Mutex::default(),
        })
    }

    /// Asks for what a stage needs to start. `None` if it needs nothing, or if its parts each ask for themselves.
    pub(crate) fn ask(&self, stage: u32, standing: Standing) -> Option<Asked> {
        let in_parts = self.desk.plan().shape(stage as usize).is_called_in_parts();
        let needs = self.desk.needs(stage).filter(|_| !in_parts)?;
        Some(self.ask_for(needs, standing))
    }

    pub(super) fn ask_for(&self, needs: &Needs, standing: Standing) -> Asked {
        Ticket::ask(&self.desk, self.priority, needs, standing)
    }

    /// From now on the stage has these units.
    pub(crate) fn hold(self: &Arc<Self>, stage: u32, permit: Permit) -> Arc<Holding> {
        self.hold_for(Holder { stage, part: None }, permit)
    }

    fn hold_for(self: &Arc<Self>, holder: Holder, permit: Permit) -> Arc<Holding> {
        let holding = Arc::new(Holding {
            run: Arc::clone(self),
            holder: holder.clone(),
            needs: Arc::clone(permit.needs()),
            state: Mutex::new(State {
                permit: Some(permit),
                users: 0,
                lent: 0,
            }),
            turn: tokio::sync::Mutex::new(()),
        });
        lock(&self.held).insert(holder, Arc::downgrade(&holding));
        holding
    }

    /// What this stage or part holds, or what it is a part of.
    pub(super) fn holding(&self, holder: Holder) -> Option<Arc<Holding>> {
        let held = lock(&self.held);
        holder
            .outwards()
            .find_map(|holder| held.get(&holder)?.upgrade())
    }

    async fn for_part(self: &Arc<Self>, holder: Holder) -> PartUnits {
        let above = self.holding(holder.clone());
        if let Some(holding) = above
            && holding.share()
        {
            return PartUnits {
                _shared: Some(Share(holding)),
                ..PartUnits::default()
            };
        }
        let Some(needs) = self.desk.needs(holder.stage) else {
            return PartUnits::default();
        };
        let permit = match self.ask_for(needs, Standing::New) {
            Asked::Granted(permit) => permit,
            Asked::Queued(ticket) => ticket.await,
        };
        PartUnits {
            _own: Some(self.hold_for(holder, permit)),
            ..PartUnits::default()
        }
    }
}

impl fmt::Debug for RunSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSlots")
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// The units of one stage or part while it runs. They are given back when the last clone is dropped.
pub(crate) struct Holding {
    run: Arc<RunSlots>,
    holder: Holder,
    needs: Needs,
    state: Mutex<State>,
    /// Of those that come back at the same time, one takes the units back for all.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    /// `None` while the units are lent out.
    permit: Option<Permit>,
    /// Parts that run on these units.
    users: u32,
    /// How many of them wait without them.
    lent: u32,
}

impl State {
    /// The units, if nobody needs them: everybody who runs on them waits.
    fn idle(&mut self) -> Option<Permit> {
        let needed = self.lent < self.users.max(1);
        self.permit.take_if(|_| !needed)
    }
}

impl Holding {
    /// A part runs on these units from now on, if they are there.
    fn share(&self) -> bool {
        let mut state = lock(&self.state);
        let here = state.permit.is_some();
        state.users += u32::from(here);
        here
    }

    /// One of those that run on the units waits.
    pub(super) fn lend(&self) {
        let mut state = lock(&self.state);
        state.lent += 1;
        let idle = state.idle();
        drop(state);
        drop(idle);
    }

    /// It no longer waits, and needs the units again.
    pub(super) fn end_wait(&self) {
        lock(&self.state).lent -= 1;
    }

    /// Takes the units back: ahead of those that come new.
    pub(super) async fn come_back(&self) {
        let _turn = self.turn.lock().await;
        if lock(&self.state).permit.is_some() {
            return;
        }
        let permit = match self.run.ask_for(&self.needs, Standing::Returning) {
            Asked::Granted(permit) => permit,
            Asked::Queued(ticket) => ticket.await,
        };
        lock(&self.state).permit = Some(permit);
    }

    /// Takes the units back if they are free.
    pub(super) fn try_come_back(&self) {
        let mut state = lock(&self.state);
        if state.permit.is_none() {
            state.permit = Ticket::try_take(&self.run.desk, &self.needs);
        }
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
        let mut held = lock(&self.run.held);
        if held
            .get(&self.holder)
            .is_some_and(|holding| holding.strong_count() == 0)
        {
            held.remove(&self.holder);
        }
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding")
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

/// What a part of a stage runs on. Dropped when the part has ended.
#[derive(Debug, Default)]
#[must_use = "the units are given back when this is dropped"]
pub(crate) struct PartUnits {
    /// Its own.
    _own: Option<Arc<Holding>>,
    /// Those of the stage or part that it is a part of.
    _shared: Option<Share>,
}

/// A part that runs on another's units.
#[derive(Debug)]
pub(crate) struct Share(Arc<Holding>);

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.users -= 1;
        let idle = if state.users > 0 { state.idle() } else { None };
        drop(state);
        drop(idle);
    }
}

/// Waits for what a part of a stage needs. A part inside something that holds units runs on those; otherwise it takes the
/// stage's units for itself. Drop the future to give up the wait.
pub(crate) async fn acquire_for_part(
    shared: &RunShared,
    stage: StageIndex,
    part: &Arc<Part>,
) -> PartUnits {
    match &shared.slots {
        None => PartUnits::default(),
        Some(slots) => {
            let part = Some(Arc::clone(part));
            let stage = stage.get();
            slots.for_part(Holder { stage, part }).await
        }
    }
}

/// Does something while what this stage or part holds is lent to others, and takes it back before it goes on.
pub(crate) async fn lend<F: Future>(
    shared: &RunShared,
    stage: StageIndex,
    part: Option<&Arc<Part>>,
    future: F,
) -> F::Output {
    let holder = Holder {
        stage: stage.get(),
        part: part.cloned(),
    };
    let slots = shared.slots.as_ref();
    let Some(holding) = slots.and_then(|slots| slots.holding(holder)) else {
        return future.await;
    };
    if shared.engine.saboteur.strikes(Fault::HoldWhileWaiting) {
        return future.await;
    }
    let lent = Lent::new(holding);
    let output = future.await;
    lent.over().await;
    output
}

/// A wait without units.
struct Lent(Option<Arc<Holding>>);

impl Lent {
    fn new(holding: Arc<Holding>) -> Self {
        holding.lend();
        Self(Some(holding))
    }

    async fn over(mut self) {
        if let Some(holding) = self.0.take() {
            holding.end_wait();
            holding.come_back().await;
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Dropped in the middle: the stage may go on, and a drop cannot wait.
        if let Some(holding) = self.0.take() {
            holding.end_wait();
            holding.try_come_back();
        }
    }
}
