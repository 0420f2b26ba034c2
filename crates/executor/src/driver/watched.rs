//! What a driver tells the engine's watchdog, if there is one.

use std::sync::Arc;

use stageflow_graph::Plan;
use stageflow_interceptors::Ending;
use tokio::task::JoinHandle;

use super::Driver;
use super::attempt::{OwnedCall, detached};
use crate::machine::Tick;
use crate::places::Work;
use crate::watchdog::{Holder, Told, Watched};

impl Driver<'_> {
    /// A stage is about to start. Its hooks come first, if there are any.
    #[inline]
    pub(super) fn watch_start(&self, stage: u32) {
        if let Some(beacon) = &self.beacon {
            let first = if self.stack(stage).is_empty() {
                Holder::Stage
            } else {
                Holder::Layer
            };
            beacon.light().enter(stage, first);
        }
    }

    /// The stage at a place is about to be polled. Layers that wait pass on to it by themselves.
    #[cold]
    pub(super) fn watch_place(&mut self, place: u32) {
        let Some(job) = self.places.job(place) else {
            return;
        };
        let first = match job.work {
            Work::Onion(_) => Holder::Layer,
            Work::Queued(_) => return,
            Work::Inline(_) | Work::Task(_) => Holder::Stage,
        };
        let stage = job.stage;
        if let Some(beacon) = &self.beacon {
            beacon.light().enter(stage, first);
        }
    }

    /// The poll goes on in other hands.
    #[inline]
    pub(super) fn watch_on(&self, holder: Holder) {
        if let Some(beacon) = &self.beacon {
            beacon.light().pass_to(holder);
        }
    }

    /// The work in a task of its own; the watchdog looks after it, if there is one.
    pub(super) fn spawn(
        &self,
        stage: u32,
        plan: Arc<Plan>,
        call: OwnedCall,
    ) -> JoinHandle<Option<Ending>> {
        let (tracker, watchdog) = (
            &self.shared.engine.tracker,
            self.shared.engine.watchdog.as_ref(),
        );
        let Some(watchdog) = watchdog else {
            return tracker.spawn(detached(plan, call));
        };
        let beacon = watchdog.beacon(&self.shared, Told::ByWatchdog);
        let first = if self.stack(stage).waits() {
            Holder::Layer
        } else {
            Holder::Stage
        };
        let work = detached(plan, call.lit(Some(beacon.light())));
        tracker.spawn(Watched::new(beacon, stage, first, work))
    }

    /// A stage has ended at its first poll without a value; it may have taken its time all the same.
    #[cold]
    pub(super) fn note_blocking_at_start(&mut self, stage: u32, since: Tick) {
        if self.data.records[stage as usize].attempts > 0 {
            self.hear();
            self.now = self.shared.now();
            self.note_blocking(stage, since);
        }
    }

    /// The poll has ended.
    #[inline]
    pub(super) fn unwatch(&self) {
        if let Some(beacon) = &self.beacon {
            beacon.light().leave();
        }
    }

    /// Whether the watchdog has reported the poll that has just ended.
    #[inline]
    pub(super) fn was_reported(&self) -> bool {
        self.beacon
            .as_ref()
            .is_some_and(|beacon| beacon.light().is_reported())
    }
}
