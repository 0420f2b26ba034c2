//! Equal calls at the same time: one goes on, the others wait for it.

use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;
use stageflow_context::{DynValue, RunId, StageName};
use tokio::sync::MutexGuard;

use super::CacheKey;
use crate::Call;

/// The calls that are under way, by key: never more than there are calls.
#[derive(Default)]
pub(super) struct Flights(DashMap<CacheKey, Arc<Flight>, FxBuildHasher>);

#[derive(Default)]
struct Flight {
    /// Held by the one that goes on. It hands it to the next, with a value or without one, however it ends: also if its future
    /// is dropped.
    lead: tokio::sync::Mutex<Option<DynValue>>,
    leader: Mutex<Option<(RunId, StageName)>>,
}

/// One of those who wait, or the one they wait for.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    key: CacheKey,
    flight: Arc<Flight>,
}

impl Flights {
    /// Joins the equal calls that are under way. `None` if the call is inside the one it would wait for.
    pub(super) fn board(&self, key: &CacheKey, call: &Call<'_>) -> Option<Seat<'_>> {
        let flight = match self.0.get(key) {
            Some(flight) => Arc::clone(&flight),
            None => Arc::clone(&self.0.entry(key.clone()).or_default()),
        };
        let seat = Seat {
            flights: self,
            key: key.clone(),
            flight,
        };
        (!seat.flight.waits_for(call)).then_some(seat)
    }
}

impl Flight {
    /// Whether the one that goes on waits for this call, which is in a run below it.
    fn waits_for(&self, call: &Call<'_>) -> bool {
        let identity = call.host().identity();
        if identity.parent().is_none() {
            return false;
        }
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        leader.as_ref().is_some_and(|(run, stage)| {
            let mut above = identity.lineage();
            above.any(|from| from.run_id() == *run && from.stage() == stage.as_str())
        })
    }
}

impl Seat<'_> {
    /// Waits until it is this call's turn to go on, or until there is a value.
    pub(super) async fn lead(&self) -> MutexGuard<'_, Option<DynValue>> {
        self.flight.lead.lock().await
    }

    /// This call goes on.
    pub(super) fn led_by(&self, call: &Call<'_>) {
        let leader = (call.host().identity().run_id(), call.stage().clone());
        *self
            .flight
            .leader
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(leader);
    }

    /// Nobody else joins.
    pub(super) fn land(&self) {
        self.flights
            .0
            .remove_if(&self.key, |_, flight| Arc::ptr_eq(flight, &self.flight));
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Two hold it: the table and this seat. Others take theirs under the same lock as this looks.
        self.flights.0.remove_if(&self.key, |_, flight| {
            Arc::ptr_eq(flight, &self.flight) && Arc::strong_count(flight) <= 2
        });
    }
}
