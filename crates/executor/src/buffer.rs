//! A run's events on their way to the sink: numbered here, handed over in batches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use stageflow_context::RunHost as _;
use stageflow_context::engine_only::EngineWord;
use stageflow_events::engine_only::{header, readdressed};
use stageflow_events::{Batch, Doings, Event, EventKind, EventSink, Lane, Receipt, RunHeader};
use stageflow_graph::Plan;
use stageflow_interceptors::drop_quietly;

use crate::audit::AuditGuard;
#[cfg(feature = "stress-sabotage")]
use crate::engine::EngineInner;
use crate::machine::Tick;
#[cfg(feature = "stress-sabotage")]
use crate::sabotage::{Fault, Saboteur};
use crate::shared::RunShared;
use crate::stream::Tap;

/// What the envelope says is what the run was started with, or what its admissions have found out.
#[expect(clippy::disallowed_methods, reason = "this is the engine")]
fn engine_word() -> EngineWord {
    EngineWord::given()
}

/// How many events are handed over at once.
const BATCH: usize = 64;

/// What became of a run's events: `offered = accepted + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventCounts {
    /// Events handed to the sink.
    pub offered: u64,
    /// Events it took.
    pub accepted: u64,
    /// Events it did not take.
    pub dropped: u64,
    /// How many of those must not be lost, as far as the sink says: what the engine says, and notes called `audit.*`.
    pub dropped_audit: u64,
    /// Notes of stages that the run had no room for; they never reached the sink.
    pub refused_notes: u64,
}

pub(crate) struct EventBuffer {
    outlet: Option<Outlet>,
    events: Vec<Event>,
    seq: u64,
    /// The time of the last event. Other tasks read the clock before they are heard, so one may come a little late.
    last: Tick,
    counts: EventCounts,
    /// How many of those that have gathered may be lost.
    telemetry: u64,
    /// If the run is to stop when too much is lost.
    guard: Option<AuditGuard>,
    /// The run's stream, if it is read.
    tap: Option<Arc<Tap>>,
    /// How far the run has come with what can be undone, if anything can.
    doings: Option<Box<(Doings, Arc<Plan>)>>,
    /// Whether there is either of these.
    is_heard: bool,
}

struct Outlet {
    #[cfg(feature = "stress-sabotage")]
    engine: Arc<EngineInner>,
    header: Arc<RunHeader>,
    sink: Arc<dyn EventSink>,
}

impl EventBuffer {
    pub(crate) fn new(shared: &Arc<RunShared>) -> Self {
        let (plan, engine) = (&shared.plan, &shared.engine);
        let outlet = engine.sink.as_ref().map(|sink| {
            let header = header(
                engine_word(),
                engine.saboteur.snapshot(shared.snapshot()),
                Arc::clone(plan.name()),
                Arc::clone(plan.names()),
                engine.wall.now(),
            )
            .with_wiring(Arc::clone(plan.wiring()))
            .with_redaction(engine.saboteur.redaction(&engine.redaction))
            .with_trace(shared.trace.clone());
            Outlet {
                #[cfg(feature = "stress-sabotage")]
                engine: Arc::clone(engine),
                header: Arc::new(header),
                sink: Arc::clone(sink),
            }
        });
        // A batch of a small run is no larger than the run's events: two for each stage, two for the run.
        let capacity = if outlet.is_some() {
            BATCH.min(2 * plan.len() + 2)
        } else {
            0
        };
        Self {
            outlet,
            events: Vec::with_capacity(capacity),
            seq: 0,
            last: Tick::ZERO,
            counts: EventCounts::default(),
            telemetry: 0,
            guard: AuditGuard::of(shared),
            tap: None,
            doings: plan
                .has_undos()
                .then(|| Box::new((Doings::new(), Arc::clone(plan)))),
            is_heard: plan.has_undos(),
        }
    }

    /// Adds what the engine says.
    pub(crate) fn push(&mut self, at: Tick, kind: EventKind) {
        self.push_with(at, || kind);
    }

    /// Adds what may be of the lane that is lost first.
    pub(crate) fn push_loose(&mut self, at: Tick, kind: EventKind) {
        let may_be_lost = Lane::of(&kind) == Lane::Telemetry;
        self.push_with(at, || kind);
        self.telemetry += u64::from(may_be_lost);
    }

    /// Adds an event that is made only if somebody listens, and where it is kept.
    #[inline]
    pub(crate) fn push_with(&mut self, at: Tick, kind: impl FnOnce() -> EventKind) {
        if self.is_heard {
            return self.push_heard(at, kind());
        }
        self.keep_with(at, kind);
    }

    /// The same where somebody else hears of it.
    #[cold]
    fn push_heard(&mut self, at: Tick, kind: EventKind) {
        if let Some(tap) = &self.tap {
            tap.tell(at, &kind);
        }
        if let Some((doings, plan)) = self.doings.as_deref_mut() {
            doings.observe(&kind, |stage| plan.undo(stage.as_usize()).is_some());
        }
        self.keep_with(at, || kind);
    }

    #[inline]
    fn keep_with(&mut self, at: Tick, kind: impl FnOnce() -> EventKind) {
        if self.outlet.is_none() {
            return;
        }
        if self.events.len() == self.events.capacity() {
            self.hand_over(BATCH);
        }
        let seq = self.seq;
        self.seq += 1;
        // There is room, and the compiler knows it here: the event is written in place.
        if self.events.len() < self.events.capacity() {
            self.last = self.last.max(at);
            self.events
                .push(Event::new(seq, self.last.as_nanos(), kind()));
        }
    }

    /// Hands over what has gathered.
    pub(crate) fn flush(&mut self) {
        if !self.events.is_empty() {
            self.hand_over(0);
        }
    }

    /// The run is not quite who it was said to be: the envelope of what comes says who it is.
    pub(crate) fn readdress(&mut self, shared: &RunShared) {
        if let Some(outlet) = &mut self.outlet {
            let snapshot = shared.engine.saboteur.snapshot(shared.snapshot());
            let header = (*outlet.header).clone();
            outlet.header = Arc::new(readdressed(engine_word(), header, snapshot));
        }
    }

    /// From now on events go to the run's stream, too.
    pub(crate) fn listen(&mut self, tap: Arc<Tap>) {
        self.tap = Some(tap);
        self.is_heard = true;
    }

    /// Hands over what has gathered, after the last event.
    pub(crate) fn finish(&mut self) {
        // There is nothing left to stop.
        self.guard = None;
        self.flush();
        if let Some(tap) = self.tap.take() {
            tap.close();
        }
    }

    /// How far the run has come with what can be undone.
    pub(crate) fn doings(&self) -> Option<&Doings> {
        self.doings.as_deref().map(|(doings, _)| doings)
    }

    pub(crate) fn counts(&self) -> EventCounts {
        self.counts
    }

    fn hand_over(&mut self, capacity: usize) {
        let Some(outlet) = &self.outlet else { return };
        if self.events.is_empty() {
            return self.events.reserve(capacity);
        }
        let events = std::mem::replace(&mut self.events, Vec::with_capacity(capacity));
        #[cfg(feature = "stress-sabotage")]
        let events = spoilt(events, &outlet.engine.saboteur);
        let offered = events.len() as u64;
        let audit = offered.saturating_sub(std::mem::take(&mut self.telemetry));
        let batch = Batch::new(Arc::clone(&outlet.header), events);
        let emitted = catch_unwind(AssertUnwindSafe(|| outlet.sink.try_emit(batch)));
        let receipt = emitted.unwrap_or_else(|payload| {
            drop_quietly(payload);
            Receipt::new(0, offered).with_dropped_audit(audit)
        });
        self.counts.offered += offered;
        // A sink that miscounts must not make events vanish from the sum.
        let accepted = receipt.accepted.min(offered);
        #[cfg(feature = "stress-sabotage")]
        let accepted = if outlet
            .engine
            .saboteur
            .strikes(Fault::CountRefusedAsAccepted)
        {
            offered
        } else {
            accepted
        };
        self.counts.accepted += accepted;
        self.counts.dropped += offered - accepted;
        let lost = receipt.dropped_audit.min(offered - accepted);
        if lost > 0 {
            self.counts.dropped_audit += lost;
            self.guard.iter().for_each(|guard| guard.lost(lost));
        }
    }
}

impl Drop for EventBuffer {
    fn drop(&mut self) {
        // A run that never began ends its stream, too.
        if let Some(tap) = self.tap.take() {
            tap.close();
        }
    }
}

/// What a broken engine makes of a batch.
#[cfg(feature = "stress-sabotage")]
fn spoilt(events: Vec<Event>, saboteur: &Saboteur) -> Vec<Event> {
    if !saboteur.is_at_work() {
        return events;
    }
    let mut spoilt: Vec<Event> = Vec::with_capacity(events.len());
    for event in events {
        if saboteur.strikes(Fault::LoseEvent) {
            continue;
        }
        if saboteur.strikes(Fault::RepeatEvent) {
            spoilt.push(event.clone());
        }
        spoilt.push(event);
        let last = spoilt.len() - 1;
        if last > 0 && saboteur.strikes(Fault::SwapEvents) {
            spoilt.swap(last - 1, last);
        }
    }
    spoilt
}
