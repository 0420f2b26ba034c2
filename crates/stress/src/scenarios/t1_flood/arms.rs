//! Many sinks, of which one is dead.

use std::sync::Arc;

use serde_json::Value;
use stageflow::events::{Batch, EventSink, FanOut, MemorySink, Receipt};

use super::CAPACITY;
use super::flow::Producer;
use crate::{Breach, Lab};

/// Takes nothing, and panics once in a hundred calls.
struct Dead;

impl EventSink for Dead {
    fn try_emit(&self, batch: Batch) -> Receipt {
        if batch.events.iter().any(|event| event.seq() % 100 == 99) {
            std::panic::resume_unwind(Box::new("nobody is there"));
        }
        Receipt::new(0, batch.events.len() as u64)
    }
}

/// A fan-out that ends at the first sink that fails.
struct Chain(Vec<Arc<dyn EventSink>>);

impl EventSink for Chain {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        // The one that panics is not asked: how it fails makes no difference here.
        let fails = |sink: &&Arc<dyn EventSink>| sink.try_emit(batch.clone()).dropped > 0;
        match self.0.iter().find(fails) {
            Some(_) => Receipt::new(0, count),
            None => Receipt::new(count, 0),
        }
    }
}

/// Sends to sixty-four sinks, of which one is dead.
pub(super) fn fan_out(lab: &Lab) {
    const EVENTS: u64 = 1_000;
    const DEAD: usize = 31;
    let kept: Vec<_> = (0..64)
        .map(|_| Arc::new(MemorySink::bounded(CAPACITY.saturating_mul(CAPACITY))))
        .collect();
    let stops = lab.is_broken("dead-stops-all");
    let sinks = kept
        .iter()
        .enumerate()
        .map(|(at, sink)| -> Arc<dyn EventSink> {
            if at == DEAD {
                Arc::new(Dead)
            } else {
                Arc::<MemorySink>::clone(sink)
            }
        });
    let sink: Box<dyn EventSink> = if stops {
        Box::new(Chain(sinks.collect()))
    } else {
        Box::new(sinks.fold(FanOut::new(), |fan, sink| fan.to("one", sink)))
    };
    let (producer, payload) = (Producer::new(0), Arc::new(Value::Null));
    let last = if stops { 99 } else { EVENTS };
    let accepted: u64 = (0..last)
        .map(|seq| {
            sink.try_emit(producer.batch(seq, "work.step", Arc::clone(&payload)))
                .accepted
        })
        .sum();
    let living = kept.iter().enumerate().filter(|(at, _)| *at != DEAD);
    let wrong = living
        .map(|(at, sink)| {
            (
                at,
                sink.drain()
                    .iter()
                    .map(|batch| batch.events.len() as u64)
                    .sum(),
            )
        })
        .find(|(_, came): &(usize, u64)| *came != last);
    lab.check(
        wrong.is_none() && accepted == 0,
        "one dead sink harms no other",
        Breach::Lost,
        || format!("{wrong:?} came of {last}, {accepted} accepted by all"),
    );
}
