//! What the stages of one run hold.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use stageflow_context::{Part, StageIndex};

use super::book::{Needs, Standing};
use super::desk::Desk;
use super::holding::{Holding, Lent, Share};
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
        let holding = Arc::new(Holding::new(Arc::clone(self), holder.clone(), permit));
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

    /// Takes units if they are free and nobody waits.
    pub(super) fn try_take(&self, needs: &Needs) -> Option<Permit> {
        Ticket::try_take(&self.desk, needs)
    }

    /// A holder is gone, and what it held.
    pub(super) fn forget(&self, holder: &Holder) {
        let mut held = lock(&self.held);
        let gone = |holding: &Weak<Holding>| holding.strong_count() == 0;
        if held.get(holder).is_some_and(gone) {
            held.remove(holder);
        }
    }

    async fn for_part(self: &Arc<Self>, holder: Holder) -> PartUnits {
        if let Some(holding) = self.holding(holder.clone()) {
            let share = Share::begin(holding, &holder);
            share.has_units().await;
            return PartUnits {
                _shared: Some(share),
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

/// What a part of a stage runs on. Dropped when the part has ended.
#[derive(Debug, Default)]
#[must_use = "the units are given back when this is dropped"]
pub(crate) struct PartUnits {
    /// Its own.
    _own: Option<Arc<Holding>>,
    /// Those of the stage or part that it is a part of.
    _shared: Option<Share>,
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
    let Some(holding) = slots.and_then(|slots| slots.holding(holder.clone())) else {
        return future.await;
    };
    if shared.engine.saboteur.strikes(Fault::HoldWhileWaiting) {
        return future.await;
    }
    let lent = Lent::begin(holding, &holder);
    let output = future.await;
    lent.over().await;
    output
}
