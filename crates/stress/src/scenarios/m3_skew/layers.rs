//! What stands around the stages: a meter, a limit for a control, and the records that are kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stageflow::context::StageErrorKind;
use stageflow::events::{Batch, EventRecord, EventSink, Receipt};
use stageflow::prelude::*;
use tokio::select;
use tokio::time::{Instant, sleep};

use super::case::Case;
use super::clock::Skewed;

/// Measures each stage; by the wall clock, if it is the one that is wrong.
pub(super) struct Meter {
    pub(super) clock: Skewed,
    pub(super) by_wall: bool,
    pub(super) measured: Arc<Mutex<Vec<(usize, i64)>>>,
}

/// When a call was entered, by either clock.
#[derive(Default)]
struct Entered(Option<Instant>, i64);

impl Hook for Meter {
    fn name(&self) -> &str {
        "meter"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        *call.scratch::<Entered>() = Entered(Some(Instant::now()), self.clock.micros());
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, _ending: &mut Ending) {
        let place = call.index().as_usize();
        let Entered(at, wall) = call.scratch::<Entered>();
        let took = match (self.by_wall, at) {
            (false, Some(at)) => at.elapsed().as_micros() as i64,
            _ => self.clock.micros() - *wall,
        };
        lock(&self.measured).push((place, took));
    }
}

/// A limit as it would be if it looked at the wall clock.
pub(super) struct WallLimit {
    pub(super) clock: Skewed,
    pub(super) case: Arc<Mutex<Arc<Case>>>,
}

#[async_trait]
impl Around for WallLimit {
    fn name(&self) -> &str {
        "wall-limit"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let limit = lock(&self.case).nodes[call.index().as_usize()].limit;
        let Some(limit) = limit else {
            return next.run(call).await;
        };
        let until = self.clock.micros() + limit as i64 * 1000;
        {
            let mut run = Box::pin(next.run(call));
            loop {
                select! {
                    ending = &mut run => return ending,
                    () = sleep(Duration::from_millis(1)) => {
                        if self.clock.micros() >= until {
                            break;
                        }
                    }
                }
            }
        }
        let limit = Duration::from_millis(limit);
        Ending::Failed(call.error(StageErrorKind::TimedOut(limit), "by the wall clock"))
    }
}

/// Keeps records as they would be written down; with a time of its own, if it is the one that is wrong.
pub(super) struct Keeper {
    pub(super) clock: Skewed,
    pub(super) by_wall: bool,
    pub(super) records: Arc<Mutex<Vec<EventRecord>>>,
}

impl EventSink for Keeper {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let mut records = lock(&self.records);
        for event in &batch.events {
            let mut record = EventRecord::new(&batch.run, event);
            if self.by_wall {
                record.time_us = self.clock.micros().unsigned_abs();
            }
            records.push(record);
        }
        Receipt::new(batch.events.len() as u64, 0)
    }
}

pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
