//! What a run shares with its stages, its handle and its tasks.

mod host;
mod operations;
mod said;

pub(crate) use said::{Said, What};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stageflow_context::{
    Attached, Budget, Cancel, CancelReason, Cleanups, ContextSnapshot, DynValue, Idempotency,
    OutputBag, Part, StageIndex, TraceContext,
};
use stageflow_graph::Plan;
use stageflow_interceptors::{PlanStacks, Stack};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::children::Children;
use crate::engine::EngineInner;
use crate::machine::Tick;
use crate::meter::Meter;
use crate::parts::PartBook;
use crate::permission::PermissionError;
use crate::slots::{PoolError, Priority, RunSlots};
use crate::stream::{Offer, Tap};
use crate::undo::UndoAfter;
use crate::wake::WakeList;

/// The most notes a run keeps between two turns of its driver.
const MAX_NOTES: usize = 1024;

/// With so much unheard, no further part of a stage starts.
const MAX_UNHEARD: usize = 4096;

pub(crate) struct RunShared {
    /// As it was asked for.
    snapshot: ContextSnapshot,
    pub(crate) plan: Arc<Plan>,
    pub(crate) engine: Arc<EngineInner>,
    pub(crate) cancel: Cancel,
    pub(crate) cleanups: Cleanups,
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) wake: WakeList,
    /// What its stages need beyond their upstream values, if they need anything.
    pub(crate) slots: Option<Arc<RunSlots>>,
    /// Why it cannot run at all.
    pub(crate) refusals: Vec<PoolError>,
    /// A stage that needs somebody who decides, if the engine has nobody.
    pub(crate) undecidable: Option<PermissionError>,
    /// What travels with it, as it was asked for.
    pub(crate) came_with: Attached,
    /// What is known of it since it was let in, if somebody was asked.
    known: OnceLock<Box<(ContextSnapshot, Attached)>>,
    pub(crate) priority: Priority,
    /// What came with the request about its trace, if something did.
    pub(crate) trace: Option<Arc<TraceContext>>,
    /// Where all that is random comes from, if the options say.
    pub(crate) seed: Option<u64>,
    /// After which endings what its stages did is undone.
    pub(crate) undo_after: UndoAfter,
    /// Under which key it may be asked for again, if it has one.
    pub(crate) idempotency: Option<Arc<Idempotency>>,
    /// The layers of each stage, if they differ from stage to stage.
    pub(crate) layers: Option<Arc<PlanStacks>>,
    outputs: OnceLock<OutputBag>,
    inbox: Mutex<Inbox>,
    has_mail: AtomicBool,
    room: Notify,
    counts_beats: AtomicBool,
    beats: Mutex<BTreeMap<u32, Tick>>,
    tap: OnceLock<Arc<Tap>>,
    pub(crate) children: Children,
    /// The stages that are still waited for after the run was told to stop.
    held: OnceLock<Mutex<Vec<u32>>>,
    /// Made when the first part of a stage is called: most runs have none.
    pub(crate) parts: OnceLock<Box<Mutex<PartBook>>>,
    /// What stages with an undo gave, where layers may have made something else of it.
    pub(crate) given: OnceLock<Mutex<BTreeMap<u32, DynValue>>>,
    /// Set before the run starts, if at all.
    meter: OnceLock<Box<Meter>>,
}

#[derive(Default)]
struct Inbox {
    said: Vec<Said>,
    notes: usize,
    refused: u64,
    operations: u32,
    closed: bool,
}

impl RunShared {
    pub(crate) fn new(
        snapshot: ContextSnapshot,
        plan: Arc<Plan>,
        engine: Arc<EngineInner>,
        started: Instant,
        deadline: Option<Instant>,
        priority: Priority,
    ) -> Self {
        // A run that finds no desk needs nothing of what runs share, and holds nothing.
        let (slots, refusals) = match engine.slots.desk(&plan) {
            Ok(desk) => (desk.map(|desk| RunSlots::new(desk, priority)), Vec::new()),
            Err(refusals) => (None, refusals),
        };
        let layers = engine.stacks.for_plan(&plan);
        let common = engine.stacks.common();
        let undecidable = PermissionError::of(&plan, |stage| match &layers {
            None => common,
            Some(layers) => layers.of(stage),
        });
        Self {
            snapshot,
            plan,
            engine,
            cancel: Cancel::new(),
            cleanups: Cleanups::new(),
            started,
            deadline,
            wake: WakeList::default(),
            slots,
            refusals,
            undecidable,
            came_with: Attached::new(),
            known: OnceLock::new(),
            priority,
            trace: None,
            seed: None,
            undo_after: UndoAfter::AnyStop,
            idempotency: None,
            layers,
            outputs: OnceLock::new(),
            inbox: Mutex::default(),
            has_mail: AtomicBool::new(false),
            room: Notify::new(),
            counts_beats: AtomicBool::new(false),
            beats: Mutex::default(),
            tap: OnceLock::new(),
            children: Children::default(),
            held: OnceLock::new(),
            parts: OnceLock::new(),
            given: OnceLock::new(),
            meter: OnceLock::new(),
        }
    }

    pub(crate) fn now(&self) -> Tick {
        let elapsed = self.started.elapsed();
        // Good for 584 years, without the detour through 128 bits.
        Tick::from_nanos(
            elapsed
                .as_secs()
                .wrapping_mul(1_000_000_000)
                .wrapping_add(elapsed.subsec_nanos().into()),
        )
    }

    /// Asks the run to stop, and sees to it that the driver notices.
    pub(crate) fn ask_to_stop(&self, reason: CancelReason) -> bool {
        let first = self.stop(reason);
        self.wake.wake_driver();
        first
    }

    /// Tells the stages and the runs they have started to stop. The first reason stays.
    pub(crate) fn stop(&self, reason: CancelReason) -> bool {
        let first = self.cancel.cancel(reason);
        // Also if somebody was first: who has only the switch cannot tell the children.
        self.children.tell(|| self.reason());
        first
    }

    /// No run can be started from here any more. `true` if some are left to be waited for; they were told to stop.
    pub(crate) fn close_children(&self) -> bool {
        let some_left = self.children.close();
        if some_left {
            self.children.tell(|| self.reason());
        }
        some_left
    }

    /// Why it stops, or that it simply ends.
    fn reason(&self) -> CancelReason {
        let reason = self.cancel.reason().cloned();
        reason.unwrap_or_else(|| CancelReason::requested("its stages have ended"))
    }

    /// These stages are still waited for.
    pub(crate) fn hold(&self, stages: Vec<u32>) {
        *lock(self.held.get_or_init(Mutex::default)) = stages;
    }

    /// A stage has ended.
    pub(crate) fn let_go(&self, stage: u32) {
        if let Some(held) = self.held.get() {
            lock(held).retain(|other| *other != stage);
        }
    }

    /// The stages that are still waited for, as far as the driver has said.
    pub(crate) fn held(&self) -> Vec<u32> {
        self.held
            .get()
            .map(|held| lock(held).clone())
            .unwrap_or_default()
    }

    /// The values recorded beside the outputs, if there are any.
    pub(crate) fn recorded(&self) -> Option<&OutputBag> {
        self.outputs.get()
    }

    /// Gives the run a budget.
    pub(crate) fn spend_from(self: &Arc<Self>, budget: &Budget) {
        self.meter
            .get_or_init(|| Box::new(Meter::new(self, budget)));
    }

    /// The run's budget, if it has one.
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.get().map(|meter| &**meter)
    }

    /// The layers around a stage.
    #[inline]
    pub(crate) fn stack(&self, stage: u32) -> &Stack {
        match &self.layers {
            None => self.engine.stacks.common(),
            Some(layers) => layers.of(stage),
        }
    }

    /// Whether attempts of this stage as a whole are made, limited and told of inside a future of their own: because layers
    /// wait around them, or because they count.
    #[inline]
    pub(crate) fn waits(&self, stage: u32) -> bool {
        (self.stack(stage).waits() || self.meter().is_some_and(Meter::counts))
            && !self.plan.shape(stage as usize).is_called_in_parts()
    }

    /// Says something that is never dropped: starts and ends of attempts.
    pub(crate) fn say(&self, stage: StageIndex, attempt: u32, what: What) {
        let said = Said {
            at: self.now(),
            stage,
            attempt,
            what,
        };
        let mut inbox = lock(&self.inbox);
        if !inbox.closed {
            inbox.said.push(said);
            drop(inbox);
            self.ring();
        }
    }

    /// The way to the run's reader, if it has one.
    pub(crate) fn tap(&self) -> Option<&Arc<Tap>> {
        self.tap.get()
    }

    /// From now on the run is read. `false` if it is already.
    pub(crate) fn set_tap(&self, tap: Arc<Tap>) -> bool {
        self.tap.set(tap).is_ok()
    }

    /// Says something for the run's stream. Room for it was found already, so that nothing here grows without a bound:
    /// what was missed is one entry until something else is said.
    pub(crate) fn say_streamed(&self, stage: StageIndex, attempt: u32, offer: Offer) {
        let at = self.now();
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return;
        }
        if let Some(What::Streamed(last)) = inbox.said.last_mut().map(|said| &mut said.what)
            && last.absorb(&offer)
        {
            return;
        }
        inbox.said.push(Said {
            at,
            stage,
            attempt,
            what: What::Streamed(Box::new(offer)),
        });
        drop(inbox);
        self.ring();
    }

    /// Says that a part starts: `false` if there is no room, `None` if the run has ended.
    pub(crate) fn say_part_started(
        &self,
        stage: StageIndex,
        attempt: u32,
        part: &Arc<Part>,
    ) -> Option<bool> {
        let at = self.now();
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return None;
        }
        if inbox.said.len() >= MAX_UNHEARD {
            return Some(false);
        }
        inbox.said.push(Said {
            at,
            stage,
            attempt,
            what: What::PartStarted(Arc::clone(part)),
        });
        drop(inbox);
        self.ring();
        Some(true)
    }

    /// Takes what was said since the last time.
    pub(crate) fn take_mail(&self) -> Vec<Said> {
        self.has_mail.store(false, Ordering::SeqCst);
        let mut inbox = lock(&self.inbox);
        inbox.notes = 0;
        let said = std::mem::take(&mut inbox.said);
        drop(inbox);
        self.room.notify_waiters();
        said
    }

    /// Ends the conversation: what is said from now on is refused.
    pub(crate) fn close(&self) -> Vec<Said> {
        let mut inbox = lock(&self.inbox);
        inbox.closed = true;
        let said = std::mem::take(&mut inbox.said);
        drop(inbox);
        self.room.notify_waiters();
        said
    }

    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    pub(crate) fn refused_notes(&self) -> u64 {
        lock(&self.inbox).refused
    }

    /// From now on heartbeats are written down.
    pub(crate) fn count_beats(&self) {
        self.counts_beats.store(true, Ordering::Release);
    }

    /// The last sign of life of a stage, if it gave one.
    pub(crate) fn last_beat(&self, stage: u32) -> Option<Tick> {
        lock(&self.beats).get(&stage).copied()
    }

    fn ring(&self) {
        self.has_mail.store(true, Ordering::SeqCst);
        self.wake.wake_driver();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section is a few pushes and counts; none can be left half-way by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
