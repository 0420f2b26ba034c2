//! Where a run's stream is filled from.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use serde_json::Value;
use stageflow_context::{RunHost as _, RunId, StageCx, StageIndex, StageName, Tier};
use stageflow_events::EventKind;
use tokio::time::Instant;

use super::Ring;
use super::ring::Permit;
use crate::machine::Tick;
use crate::shared::RunShared;

/// A run's way to a reader: straight to the ring, or through the run it is a part of.
pub(crate) struct Tap {
    ring: Arc<Ring>,
    run: RunId,
    stages: Arc<[StageName]>,
    started: Instant,
    outer: Option<Outer>,
}

/// The run that a run was started by.
struct Outer {
    run: Arc<RunShared>,
    stage: StageIndex,
    attempt: NonZeroU32,
    path: Arc<str>,
}

/// An item on its way to the ring.
pub(crate) struct Offer {
    pub(super) run: RunId,
    pub(super) path: Arc<str>,
    pub(super) attempt: Option<NonZeroU32>,
    pub(super) at: Instant,
    pub(super) what: Offered,
}

pub(super) enum Offered {
    Chunk(Value, Permit),
    Debug(Value, Permit),
    /// With room, if it comes from a run inside: only the run's own events have room of their own.
    Event(EventKind, Option<Permit>),
    Missed(NonZeroU64),
}

impl Offer {
    /// Adds what another one has missed, if nothing came between the two. `false` if something did.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        match (&mut self.what, &other.what) {
            (Offered::Missed(missed), Offered::Missed(more)) => {
                *missed = missed.saturating_add(more.get());
                true
            }
            _ => false,
        }
    }
}

impl Tap {
    /// Of a run that has a reader.
    pub(crate) fn new(ring: Arc<Ring>, run: &RunShared) -> Self {
        Self {
            ring,
            run: run.identity().run_id(),
            stages: Arc::clone(run.plan.names()),
            started: run.started,
            outer: None,
        }
    }

    /// Of a run that the stage at `cx` has started in `outer`, if that is read: its items come with the stage's path in
    /// front of their own, between the stage's start and its end.
    pub(crate) fn within(outer: &Arc<RunShared>, cx: &StageCx, run: &RunShared) -> Option<Self> {
        let tap = outer.tap().filter(|tap| tap.wants(Tier::Lifecycle))?;
        Some(Self {
            outer: Some(Outer {
                run: Arc::clone(outer),
                stage: cx.index(),
                attempt: cx.attempt(),
                path: Arc::from(cx.path()),
            }),
            ..Self::new(Arc::clone(&tap.ring), run)
        })
    }

    /// Whether somebody reads this tier.
    pub(crate) fn wants(&self, tier: Tier) -> bool {
        self.ring.wants(tier)
    }

    /// What the stage at `cx` streams, or that it was missed.
    pub(crate) fn offer(&self, cx: &StageCx, tier: Tier, value: Value) -> Offer {
        self.with_room(cx, tier, value, self.ring.room())
    }

    /// The same, once there is room; `None` if nobody reads any more.
    pub(crate) async fn offer_when_room(&self, cx: &StageCx, value: Value) -> Option<Offer> {
        let room = self.ring.room_in_time().await;
        (room.is_some() || self.wants(Tier::Chunks))
            .then(|| self.with_room(cx, Tier::Chunks, value, room))
    }

    fn with_room(&self, cx: &StageCx, tier: Tier, value: Value, room: Option<Permit>) -> Offer {
        let what = match (room, tier) {
            (None, _) => Offered::Missed(NonZeroU64::MIN),
            (Some(room), Tier::Debug) => Offered::Debug(value, room),
            (Some(room), _) => Offered::Chunk(value, room),
        };
        Offer {
            run: self.run,
            path: Arc::from(cx.path()),
            attempt: Some(cx.attempt()),
            at: Instant::now(),
            what,
        }
    }

    /// What the engine says.
    pub(crate) fn tell(&self, at: Tick, event: &EventKind) {
        self.pass_on(Offer {
            run: self.run,
            path: self.path(event),
            attempt: event.attempt().and_then(NonZeroU32::new),
            at: self.started + at.elapsed(),
            what: Offered::Event(event.clone(), None),
        });
    }

    /// Where in the run this event happens.
    fn path(&self, event: &EventKind) -> Arc<str> {
        let stage = event
            .stage()
            .and_then(|stage| self.stages.get(stage.as_usize()));
        let stage = stage.map_or("", |name| name.as_str());
        match event.part() {
            None => Arc::from(stage),
            Some(part) => Arc::from(format!("{stage}{part}")),
        }
    }

    /// Puts an item into the ring, or into the inbox of the run outside.
    pub(crate) fn pass_on(&self, mut offer: Offer) {
        let Some(outer) = &self.outer else {
            return self.ring.push(offer);
        };
        if let Offered::Event(_, room @ None) = &mut offer.what {
            // Before it lies in an inbox, so that no inbox grows without a bound.
            *room = self.ring.room();
            if room.is_none() {
                offer.what = Offered::Missed(NonZeroU64::MIN);
            }
        }
        offer.path = if offer.path.is_empty() {
            Arc::clone(&outer.path)
        } else {
            Arc::from(format!("{}/{}", outer.path, offer.path))
        };
        outer
            .run
            .say_streamed(outer.stage, outer.attempt.get(), offer);
    }

    /// Nothing more is told. A run inside another one has said its last word, and that is all.
    pub(crate) fn close(&self) {
        if self.outer.is_none() {
            self.ring.close();
        }
    }
}
