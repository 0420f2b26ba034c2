//! Payloads of one byte to a mebibyte, and some that are larger than all that may be held.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use rand::RngExt as _;
use serde_json::Value;
use stageflow::events::{BoundedSink, EventSink as _, LossReason, MemorySink, Stopping};

use super::flow::Producer;
use super::{CAPACITY, DEADLINE, balance};
use crate::{Breach, Lab};

/// How many bytes the sink may hold.
const BYTES: NonZeroUsize = NonZeroUsize::MIN.saturating_add((4 << 20) - 1);

pub(super) fn bytes(lab: &mut Lab) {
    let mut rng = lab.seed().child(2).rng();
    let limited = !lab.is_broken("ignores-bytes");
    let sizes: Vec<usize> = (0..400)
        .map(|index| {
            if index % 100 == 99 {
                5 << 20
            } else {
                1 << rng.random_range(0..=20)
            }
        })
        .collect();
    let (most, counts, large) = lab.paused(async {
        let all = Arc::new(MemorySink::bounded(CAPACITY.saturating_mul(CAPACITY)));
        let sink = BoundedSink::over(all);
        let sink = if limited { sink.bytes(BYTES) } else { sink };
        let (sink, pump) = sink.build();
        let (producer, mut held, mut most) = (Producer::new(0), Vec::new(), 0);
        for (seq, size) in (0..).zip(&sizes) {
            let payload = Arc::new(Value::String("x".repeat(*size)));
            held.push((Arc::downgrade(&payload), *size));
            let _either = sink.try_emit(producer.batch(seq, "work.step", payload));
            most = most.max(alive(&held));
        }
        let large = too_large(&sink);
        let (counts, ()) = tokio::join!(sink.stop(Stopping::Drain, DEADLINE), pump);
        (most, counts, large)
    });
    lab.check(
        (BYTES.get() / 2..=BYTES.get()).contains(&most),
        "no more bytes are held than may be",
        Breach::ResourceLeak,
        || format!("{most} of {BYTES}"),
    );
    lab.check(
        balance(&counts)
            && counts.offered == 400
            && counts.delivered == counts.accepted
            && large == 4,
        "what is too large is dropped and counted",
        Breach::UnaccountedDrop,
        || format!("{counts:?}, {large} too large"),
    );
}

fn too_large(sink: &BoundedSink) -> u64 {
    let losses = sink.losses().into_iter();
    let large = losses.filter(|loss| loss.reason == LossReason::TooLarge);
    large.map(|loss| loss.count).sum()
}

fn alive(held: &[(Weak<Value>, usize)]) -> usize {
    let alive = held
        .iter()
        .filter(|(payload, _)| payload.strong_count() > 0);
    alive.map(|(_, size)| size).sum()
}
