//! The case c on the machine's clock: what the other clock says is not only true there.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stageflow::events::{
    BoundedCounts, BoundedSink, Entry, EventSink as _, ExportError, Exporter, Overflow, Stopping,
};
use tokio::time::sleep;

use super::rate::Producer;
use crate::harness::load::Schedule;
use crate::{Breach, Lab, LabError, Runtime};

const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// Takes ten milliseconds for an event.
struct Slow(Arc<AtomicU64>);

#[async_trait]
impl Exporter for Slow {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        sleep(Duration::from_millis(10)).await;
        self.0.fetch_add(entries.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

pub(super) fn twin(lab: &mut Lab, runtime: Runtime) -> Result<(), LabError> {
    let load = Schedule::steady(2000, Duration::from_millis(250));
    for overflow in [
        Overflow::DropNewest,
        Overflow::DropOldest,
        Overflow::Wait(Duration::from_millis(5)),
    ] {
        let name = format!("{overflow:?} on {runtime}");
        let came = Arc::new(AtomicU64::new(0));
        let slow = Slow(Arc::clone(&came));
        let (held, last) = lab.on(runtime, async {
            let one = NonZeroUsize::MIN;
            let sink = BoundedSink::builder(slow).capacity(CAPACITY).batch(one);
            let sink = sink.overflow(overflow).start();
            let mut producer = Producer::new(0, true);
            let mut held = Vec::new();
            load.play(|_| {
                let _either = sink.try_emit(producer.one());
                held.push(sink.counts());
            })
            .await;
            let last = sink.stop(Stopping::Discard, Duration::from_secs(1)).await;
            (held, last)
        })?;
        let wrong = held.iter().chain([&last]).find(|counts| !balance(counts));
        lab.check(
            wrong.is_none(),
            "the counts are exact at any moment",
            Breach::UnaccountedDrop,
            || format!("{wrong:?} ({name})"),
        );
        let deepest = held.iter().map(|counts| counts.queued).max().unwrap_or(0);
        lab.check(
            deepest <= CAPACITY.get() as u64 && last.queued == 0,
            "never more than fits",
            Breach::ResourceLeak,
            || format!("{deepest} held, {} at last ({name})", last.queued),
        );
        let came = came.load(Ordering::Relaxed) - last.markers;
        lab.check(
            came == last.delivered && last.offered == 500,
            "what is counted as delivered came",
            Breach::Lost,
            || format!("{came} came, {last:?} ({name})"),
        );
    }
    Ok(())
}

fn balance(counts: &BoundedCounts) -> bool {
    counts.offered == counts.accepted + counts.dropped
        && counts.accepted == counts.delivered + counts.failed + counts.discarded + counts.queued
}
